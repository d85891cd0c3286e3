"""Modbus registers of IEC values by Python's struct alone: the second opinion on every type and byte order.

`python encode.py` prints cases/modbus-types.json anew.
"""

import datetime
import json
import struct

PACK = {
    "SINT": ">xb", "USINT": ">xB", "BYTE": ">xB", "INT": ">h", "UINT": ">H", "WORD": ">H", "DINT": ">i", "UDINT": ">I",
    "DWORD": ">I", "LINT": ">q", "ULINT": ">Q", "LWORD": ">Q", "F16": ">e", "REAL": ">f", "LREAL": ">d",
}
EPOCH = datetime.datetime(1970, 1, 1)
ORDERS = ["ABCD", "CDAB", "BADC", "DCBA"]


def raw(kind, value):
    """The bytes of one value, most significant first."""
    if kind in PACK:
        return struct.pack(PACK[kind], {"NaN": float("nan"), "Infinity": float("inf"),
                                        "-Infinity": float("-inf")}.get(value, value))
    if kind == "TIME":
        return struct.pack(">i", round(value * 1000))
    if kind == "LTIME":
        return struct.pack(">q", round(value * 1_000_000_000))
    if kind in ("DATE", "DATE_AND_TIME"):
        return struct.pack(">I", round((datetime.datetime.fromisoformat(value) - EPOCH).total_seconds()))
    if kind == "LDT":
        return struct.pack(">q", round((datetime.datetime.fromisoformat(value) - EPOCH).total_seconds()) * 10**9)
    if kind in ("TIME_OF_DAY", "LTOD"):
        day = datetime.datetime.fromisoformat("1970-01-01T" + value) - EPOCH
        return struct.pack(">I", round(day.total_seconds() * 1000)) if kind == "TIME_OF_DAY" else struct.pack(
            ">q", round(day.total_seconds() * 10**6) * 1000)
    if kind.startswith("STRING("):
        length = int(kind[7:-1])
        return value.encode("utf-8").ljust(length + length % 2, b"\0")
    raise ValueError(kind)


def words(data, order):
    """The bytes as registers in one of the four orders."""
    pairs = [data[i:i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        pairs.reverse()
    if order in ("BADC", "DCBA"):
        pairs = [pair[::-1] for pair in pairs]
    return [int.from_bytes(pair, "big") for pair in pairs]


def registers(case):
    """The registers of a case of cases/modbus-types.json."""
    values = case["value"] if isinstance(case["value"], list) else [case["value"]]
    return [word for value in values for word in words(raw(case["type"], value), case["order"])]


VALUES = [
    ("SINT", -5), ("USINT", 250), ("BYTE", 0xA5),
    ("INT", -12345), ("INT", -32768), ("UINT", 54321), ("WORD", 0xBEEF),
    ("DINT", -123456789), ("UDINT", 4123456789), ("DWORD", 0xDEADBEEF),
    ("LINT", -1234567890123456789), ("ULINT", 18446744073709551615), ("LWORD", 0x0123456789ABCDEF),
    ("F16", 1.5), ("REAL", 0.1), ("REAL", -1234.5), ("REAL", "NaN"), ("REAL", "Infinity"), ("LREAL", 0.1),
    ("LREAL", -2.5e300), ("LREAL", "-Infinity"),
    ("TIME", -1.5), ("LTIME", 12.000000001), ("DATE", "2026-11-23T00:00:00.000000"),
    ("TIME_OF_DAY", "02:28:33.250000"), ("DATE_AND_TIME", "2026-11-23T02:28:33.000000"),
    ("LTOD", "23:59:59.123456"), ("LDT", "2026-11-23T02:28:33.000000"),
]
ARRAYS = [("INT", [1, -2, 3, -4]), ("REAL", [0.25, -8.5]), ("UDINT", [1, 2, 4294967295])]


def make():
    """All cases, in both register tables, each type in each order that it can have."""
    offset = {"hr": 0, "ir": 1000}
    cases = []

    def add(kind, order, value):
        table = ("hr", "ir")[len(cases) % 2]
        name = kind.split("(")[0].lower() + f"_{order.lower()}_{len(cases)}"
        array = f"[{len(value)}]" if isinstance(value, list) else ""
        case = {"tag": name, "address": f"{table}:{offset[table]}:{kind}{array}@{order}", "table": table,
                "offset": offset[table], "type": kind, "order": order, "value": value}
        case["registers"] = registers(case)
        offset[table] += len(case["registers"])
        cases.append(case)

    for order in ORDERS:
        for kind, value in VALUES + ARRAYS:
            if order == "ABCD" or kind not in ("SINT", "USINT", "BYTE"):
                add(kind, order, value)
    add("STRING(9)", "ABCD", "Größe")
    add("STRING(4)", "ABCD", "full")
    return cases


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in make())
    print(f"[\n{lines}\n]")
