"""Reads 125 holding registers again and again with pymodbus' synchronous client: PORT REQUESTS."""

import sys
import time

from pymodbus.client import ModbusTcpClient

BLOCK, BLOCKS = 125, 8
client = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]))
assert client.connect()
before = time.process_time_ns()
for n in range(int(sys.argv[2])):
    reply = client.read_holding_registers(n % BLOCKS * BLOCK, count=BLOCK, device_id=1)
    assert len(reply.registers) == BLOCK
print(int(sys.argv[2]) * BLOCK, time.process_time_ns() - before)
