"""An S7 server that holds the values of cases/s7-types.json: python-snap7's own (3.x), or the C library's (2.x),
whichever this Python has.

    s7_server.py --ready FILE     listens on a free port of the loopback and writes the port there once it serves
"""

import argparse
import ctypes
import json
import logging
import pathlib
import socket
import threading

import snap7
from snap7.type import SrvArea

import encode_s7

CASES = pathlib.Path(__file__).parent.parent / "cases" / "s7-types.json"
AREAS = {"DB": SrvArea.DB, "M": SrvArea.MK, "I": SrvArea.PE, "Q": SrvArea.PA, "T": SrvArea.TM, "C": SrvArea.CT}
SIZE = 4096


def free_port():
    """A port that was free just now: neither server can take port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def memory():
    """The bytes of each area and block."""
    areas = {}
    for case in json.loads(CASES.read_text()):
        encode_s7.place(areas.setdefault((case["area"], case["block"]), bytearray(SIZE)), case)
    return areas


def main():
    """Serves until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready", required=True)
    ready = pathlib.Path(parser.parse_args().ready)
    logging.disable(logging.CRITICAL)
    server = snap7.server.Server(log=False)
    held = memory()
    for (area, block), data in held.items():
        server.register_area(AREAS[area], block, (ctypes.c_uint8 * SIZE).from_buffer(data))
    port = free_port()
    server.start_to("127.0.0.1", port)
    ready.write_text(f"{port}\n")
    threading.Event().wait()


if __name__ == "__main__":
    main()
