/* Makes the disk under one folder slow or broken, for a program that is started with LD_PRELOAD. What FAULTY_SWITCH names
 * is a file that says how: "slow" lets each sync take two seconds, "broken" lets writes and syncs fail with EIO. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int mode_of(int fd) {
    const char *folder = getenv("FAULTY_FOLDER"), *name = getenv("FAULTY_SWITCH");
    char link[64], path[PATH_MAX], word[16] = "";
    if (!folder || !name) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0) return 0;
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t got = read(file, word, sizeof word - 1);
    close(file);
    return got > 0 ? word[0] : 0;
}

static int sync_with(const char *name, int fd) {
    int mode = mode_of(fd);
    if (mode == 's') usleep(2000000);
    if (mode == 'b') { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return sync_with("fsync", fd); }
int fdatasync(int fd) { return sync_with("fdatasync", fd); }

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    if (mode_of(fd) == 'b') { errno = EIO; return -1; }
    return ((ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64"))(fd, from, count, at);
}
