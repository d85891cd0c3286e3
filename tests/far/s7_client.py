"""A python-snap7 client, the pure Python one (3.x) or the C library (2.x), that does one round of everything.

    s7_client.py PORT     prints what it found as one JSON object; tests/e2e/simulated_plcs.rs knows what it must be
"""

import ctypes
import json
import sys

import snap7
from snap7.type import Area, S7DataItem, WordLen

def wanted(area, number, start, amount):
    """An item of the C library."""
    item = S7DataItem()
    item.Area, item.WordLen, item.DBNumber = ctypes.c_int32(area.value), ctypes.c_int32(WordLen.Byte.value), number
    item.Start, item.Amount = start, amount
    buffer = (ctypes.c_uint8 * amount)()
    item.pData = ctypes.cast(ctypes.pointer(buffer), ctypes.POINTER(ctypes.c_uint8))
    return item


def several(client, wishes):
    """What one request for several items brings; the pure client takes a list of its own kind."""
    if hasattr(client, "use_optimizer"):
        wishes = [{"area": area, "db_number": number, "start": start, "size": size}
                  for area, number, start, size in wishes]
        return [bytes(data).hex() for data in client.read_multi_vars(wishes)[1]]
    items = [wanted(*wish) for wish in wishes]
    _, answered = client.read_multi_vars((S7DataItem * len(items))(*items))
    assert not any(item.Result for item in answered)
    return [ctypes.string_at(item.pData, item.Amount).hex() for item in answered]


def refused(call, *arguments):
    """Whether a call fails."""
    try:
        call(*arguments)
    except Exception as error:  # Both libraries have errors of their own.
        return str(error) or type(error).__name__
    return None


def state(client):
    """The CPU's state by list 0424: the pure client's own call for it always says RUN. It keeps four more bytes."""
    at = 7 if hasattr(client, "use_optimizer") else 3
    return {8: "RUN", 4: "STOP"}.get(client.read_szl(0x0424, 0).Data[at], "UNKNOWN")


def text(value):
    """A field of a C structure without what fills it."""
    return value.decode("latin-1").rstrip("\0 ") if isinstance(value, bytes) else value


def main():
    """One connection, one round."""
    client = snap7.client.Client()
    client.connect("127.0.0.1", 0, 2, int(sys.argv[1]))
    info = client.get_cpu_info()
    found = {
        "pdu": client.get_pdu_length(),
        "block": bytes(client.db_read(1, 0, 8)).hex(),
        "long": sum(client.db_read(2, 0, 3000)),
        "flags": bytes(client.mb_read(10, 4)).hex(),
        "inputs": bytes(client.eb_read(0, 2)).hex(),
        "outputs": bytes(client.ab_read(0, 2)).hex(),
        "timers": [int(byte) for byte in bytes(client.tm_read(5, 1))[:2]],
        "counters": [int(byte) for byte in bytes(client.ct_read(3, 1))[:2]],
        "no_block": refused(client.db_read, 9, 0, 1),
        "beyond": refused(client.db_read, 1, 60_000, 1),
        "several": several(client, [(Area.DB, 1, 0, 3), (Area.MK, 0, 10, 2), (Area.PE, 0, 0, 1)]),
        "module": text(info.ModuleTypeName), "serial": text(info.SerialNumber), "station": text(info.ASName),
        "state": state(client),
        "order": text(client.get_order_code().OrderCode),
    }
    client.db_write(1, 100, bytearray(range(200)) * 3)
    client.mb_write(20, 2, bytearray([0xAB, 0xCD]))
    client.write_area(Area.DB, 1, 90, bytearray([1]))
    client.plc_stop()
    found["stopped"] = state(client)
    client.plc_hot_start()
    client.disconnect()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
