/* Reads 125 holding registers again and again with libmodbus, one request outstanding.
 *
 *   libmodbus HOST PORT REQUESTS     prints: registers, processor nanoseconds
 */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BLOCK 125
#define BLOCKS 8

static long long processor_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv) {
    uint16_t registers[BLOCK];
    if (argc != 4) return 2;
    modbus_t *device = modbus_new_tcp(argv[1], atoi(argv[2]));
    long requests = atol(argv[3]);
    modbus_set_slave(device, 1);
    if (modbus_connect(device) != 0) return 3;
    long long before = processor_ns();
    for (long n = 0; n < requests; n++)
        if (modbus_read_registers(device, (int)(n % BLOCKS) * BLOCK, BLOCK, registers) != BLOCK) return 3;
    printf("%ld %lld\n", requests * BLOCK, processor_ns() - before);
    modbus_close(device);
    modbus_free(device);
    return 0;
}
