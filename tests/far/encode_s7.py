"""Bytes of IEC and Siemens values in an S7 PLC, by Python's struct alone: the second opinion on every type.

`python encode_s7.py` prints cases/s7-types.json anew.
"""

import datetime
import json
import struct

from encode import EPOCH, PACK

BYTE_PACK = {**PACK, "SINT": ">b", "USINT": ">B", "BYTE": ">B"}
SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
DAY_ZERO = datetime.datetime(1990, 1, 1)
S5_BASES = [0.01, 0.1, 1, 10]


def bcd(number):
    """Two decimal digits in a byte."""
    return number // 10 << 4 | number % 10


def since_midnight(text):
    """A time of day as a duration."""
    return datetime.datetime.fromisoformat("1970-01-01T" + text) - EPOCH


def s5time(seconds):
    """Base and three BCD digits, in the finest base that holds the value."""
    base = next(n for n, base in enumerate(S5_BASES) if round(seconds / base) <= 999)
    count = round(seconds / S5_BASES[base])
    return struct.pack(">H", base << 12 | count // 100 << 8 | count // 10 % 10 << 4 | count % 10)


def date_and_time(moment):
    """Eight BCD bytes, the last with the day of the week, Sunday being 1."""
    milliseconds = moment.microsecond // 1000
    fields = (moment.year % 100, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    return bytes([*map(bcd, fields), bcd(milliseconds // 10), milliseconds % 10 << 4 | moment.isoweekday() % 7 + 1])


def dtl(moment):
    """Twelve bytes."""
    return struct.pack(">HBBBBBBI", moment.year, moment.month, moment.day, moment.isoweekday() % 7 + 1, moment.hour,
                       moment.minute, moment.second, moment.microsecond * 1000)


def raw(kind, value):
    """The bytes of one value."""
    if kind in BYTE_PACK:
        return struct.pack(BYTE_PACK[kind], SPECIAL.get(value, value))
    if kind == "TIME":
        return struct.pack(">i", round(value * 1000))
    if kind == "LTIME":
        return struct.pack(">q", round(value * 10**9))
    if kind == "S5TIME":
        return s5time(value)
    if kind == "DATE":
        return struct.pack(">H", (datetime.datetime.fromisoformat(value) - DAY_ZERO).days)
    if kind == "DATE_AND_TIME":
        return date_and_time(datetime.datetime.fromisoformat(value))
    if kind == "DTL":
        return dtl(datetime.datetime.fromisoformat(value))
    if kind == "LDT":
        since = datetime.datetime.fromisoformat(value) - EPOCH
        return struct.pack(">q", (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000)
    if kind == "TIME_OF_DAY":
        return struct.pack(">I", round(since_midnight(value).total_seconds() * 1000))
    if kind == "LTOD":
        return struct.pack(">Q", round(since_midnight(value).total_seconds() * 10**6) * 1000)
    if kind == "CHAR":
        return value.encode("latin-1")
    if kind == "WCHAR":
        return value.encode("utf-16-be")
    if kind == "COUNTER":
        return bytes([value // 100, bcd(value % 100)])
    length = int(kind.split("(")[1][:-1])
    if kind.startswith("STRING("):
        return bytes([length, len(value)]) + value.encode("latin-1").ljust(length, b"\0")
    if kind.startswith("WSTRING("):
        return struct.pack(">HH", length, len(value)) + value.encode("utf-16-be").ljust(2 * length, b"\0")
    raise ValueError(kind)


def place(memory, case):
    """Puts a case of cases/s7-types.json into its area, a bytearray."""
    offset = case["offset"]
    if "bit" in case:
        memory[offset] |= case["value"] << case["bit"]
        return
    values = case["value"] if isinstance(case["value"], list) else [case["value"]]
    if case["type"] == "BOOL":
        data = bytearray((len(values) + 7) // 8)
        for number, value in enumerate(values):
            data[number // 8] |= value << number % 8
    else:
        data = b"".join(raw(case["type"], value) for value in values)
    assert data.hex() == case["bytes"], f"the case file contradicts struct: {case} {data.hex()}"
    memory[offset:offset + len(data)] = data


VALUES = [
    ("SINT", -5), ("USINT", 250), ("BYTE", 0xA5), ("INT", -12345), ("INT", -32768), ("UINT", 54321), ("WORD", 0xBEEF),
    ("DINT", -123456789), ("UDINT", 4123456789), ("DWORD", 0xDEADBEEF), ("LINT", -1234567890123456789),
    ("ULINT", 18446744073709551615), ("LWORD", 0x0123456789ABCDEF), ("REAL", 0.1), ("REAL", -1234.5), ("REAL", "NaN"),
    ("REAL", "Infinity"), ("LREAL", 0.1), ("LREAL", -2.5e300), ("LREAL", "-Infinity"), ("CHAR", "S"), ("CHAR", "ß"),
    ("WCHAR", "Ω"), ("STRING(9)", "Größe"), ("STRING(4)", "full"), ("STRING(254)", "n" * 254), ("STRING(5)", ""),
    ("WSTRING(7)", "Größe Ω"), ("WSTRING(20)", "kurz"), ("TIME", -1.5), ("LTIME", 12.000000001), ("S5TIME", 12.7),
    ("S5TIME", 9990), ("S5TIME", 0.05), ("DATE", "2026-11-23T00:00:00.000000"), ("TIME_OF_DAY", "02:28:33.250000"),
    ("LTOD", "23:59:59.123456"), ("DATE_AND_TIME", "2026-11-23T02:28:33.123000"),
    ("DATE_AND_TIME", "1990-01-01T00:00:00.000000"), ("DTL", "2026-11-22T02:28:33.123456"),
    ("LDT", "2026-11-23T02:28:33.123456"),
]
ARRAYS = [
    ("INT", [1, -2, 3, -4]), ("REAL", [0.25, -8.5]), ("UDINT", [1, 2, 4294967295]), ("BYTE", [1, 2, 255]),
    ("LREAL", [0.5, -0.5]), ("DTL", ["2026-11-22T02:28:33.000000", "2027-01-01T00:00:00.000000"]),
    ("STRING(6)", ["eins", "zwei"]), ("S5TIME", [0.1, 20]), ("TIME_OF_DAY", ["00:00:00.000000", "12:00:00.000000"]),
    ("INT", list(range(-600, 600))),
]
# Of each letter what its width holds.
IN_AREAS = [("REAL", 3.5), ("INT", -7), ("BYTE", 0x3C), ("DINT", 70000), ("UDINT", [5, 6, 7])]
WIDTHS = {1: "B", 2: "W", 4: "D"}


def letter(kind):
    """The width by which an address names a place: what the type has, else bytes."""
    sizes = {"DATE": 2, "S5TIME": 2, "TIME": 4, "TIME_OF_DAY": 4}
    size = sizes.get(kind) or (struct.calcsize(BYTE_PACK[kind]) if kind in BYTE_PACK else 1)
    return WIDTHS.get(size, "B")


def make():
    """All cases."""
    cases, ends = [], {}

    def add(area, block, kind, value, prefix, gap=0):
        offset = ends.get((area, block), 0) + gap
        values = value if isinstance(value, list) else [value]
        data = b"".join(raw(kind, each) for each in values)
        array = f"[{len(value)}]" if isinstance(value, list) else ""
        name = f"{prefix.replace('.', '_')}_{kind.split('(')[0]}_{len(cases)}".lower()
        cases.append({"tag": name, "address": f"{prefix}{letter(kind)}{offset}:{kind}{array}", "area": area,
                      "block": block, "offset": offset, "type": kind, "value": value, "bytes": data.hex()})
        ends[area, block] = offset + (len(data) + 1) // 2 * 2

    def add_bit(area, block, offset, bit, value, prefix):
        cases.append({"tag": f"{prefix.replace('.', '_')}_{offset}_{bit}".lower(), "address": f"{prefix}{offset}.{bit}",
                      "area": area, "block": block, "offset": offset, "bit": bit, "type": "BOOL", "value": value})

    for kind, value in VALUES:
        add("DB", 1, kind, value, "DB1.DB")
    for number, (kind, value) in enumerate(ARRAYS):
        add("DB", 2, kind, value, "DB2.DB", gap=40 * (number % 2))
    for area in "MIQ":
        for number, (kind, value) in enumerate(IN_AREAS):
            add(area, 0, kind, value, area, gap=10 * number)
        for bit in (0, 3, 7):
            add_bit(area, 0, 200, bit, bit != 3, area)
    for bit in range(8):
        add_bit("DB", 3, 5, bit, bit % 3 == 0, "DB3.DBX")
    for number, seconds in [(0, 12.7), (5, 0.05), (8, 9990), (90, 1)]:
        cases.append({"tag": f"timer_{number}", "address": f"T{number}", "area": "T", "block": 0, "offset": 2 * number,
                      "type": "S5TIME", "value": seconds, "bytes": s5time(seconds).hex()})
    for number, count in [(0, 0), (4, 234), (8, 999), (70, 7)]:
        cases.append({"tag": f"counter_{number}", "address": f"C{number}", "area": "C", "block": 0,
                      "offset": 2 * number, "type": "COUNTER", "value": count, "bytes": raw("COUNTER", count).hex()})
    return cases


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in make())
    print(f"[\n{lines}\n]")
