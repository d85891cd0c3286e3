"""Polls REALs of an S7 PLC with python-snap7, the pure one or the one around the C library:
PORT neighbours|scattered VALUES POLLS. Prints values, processor time and wall time in nanoseconds."""

import ctypes
import struct
import sys
import time

import snap7
from snap7.type import Area, S7DataItem, WordLen

# As s7_clients.rs has them.
APART, IN_A_BLOCK = 1000, 65
TOGETHER = 20

port, kind, values, polls = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = snap7.client.Client()
client.connect("127.0.0.1", 0, 1, port)
is_pure = hasattr(client, "use_optimizer")


def item(place):
    """One REAL, as the library wants to be told."""
    block, offset = 1 + place // IN_A_BLOCK, place % IN_A_BLOCK * APART
    if is_pure:
        return {"area": Area.DB, "db_number": block, "start": offset, "size": 4}
    one = S7DataItem()
    one.Area, one.WordLen, one.DBNumber = ctypes.c_int32(Area.DB.value), ctypes.c_int32(WordLen.Byte.value), block
    one.Start, one.Amount = offset, 4
    buffer = (ctypes.c_uint8 * 4)()
    one.pData = ctypes.cast(ctypes.pointer(buffer), ctypes.POINTER(ctypes.c_uint8))
    return one


def scattered(groups):
    """All of them once, as many at a time as the library takes."""
    found = []
    for group in groups:
        _, answered = client.read_multi_vars(group)
        parts = answered if is_pure else [ctypes.string_at(one.pData, 4) for one in answered]
        found.extend(struct.unpack(">f", part)[0] for part in parts)
    return found


def neighbours():
    """All of them once, in one call."""
    return struct.unpack(f">{values}f", client.db_read(1, 0, 4 * values))


items = [item(place) for place in range(values)] if kind == "scattered" else []
groups = [items[at:at + TOGETHER] for at in range(0, len(items), TOGETHER)]
if not is_pure:
    groups = [(S7DataItem * len(group))(*group) for group in groups]
before, wall = time.process_time_ns(), time.perf_counter_ns()
for _ in range(polls):
    assert len(neighbours() if kind == "neighbours" else scattered(groups)) == values
print(values * polls, time.process_time_ns() - before, time.perf_counter_ns() - wall)
