"""A pymodbus server that holds the values of cases/modbus-types.json.

    modbus_server.py tcp | rtu-over-tcp | tls --cert FILE --key FILE [--ca FILE] | rtu --device PATH [--baud N]

Listens on a free port of the loopback, answers as unit 1, and writes the port (0 for rtu) to --ready once it serves.
"""

import argparse
import asyncio
import json
import pathlib
import ssl

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

import encode

CASES = pathlib.Path(__file__).parent.parent / "cases" / "modbus-types.json"
BITS = [n % 3 == 0 for n in range(64)]
REGISTERS_MAX = 2000


def table(cases, name):
    """One register table: all cases at their places, zero between them."""
    memory = [0] * REGISTERS_MAX
    for case in cases:
        if case["table"] == name:
            computed = encode.registers(case)
            assert computed == case["registers"], f"the case file contradicts struct: {case} {computed}"
            memory[case["offset"]:case["offset"] + len(computed)] = computed
    return [SimData(0, values=memory, datatype=DataType.REGISTERS)]


def device():
    """Unit 1."""
    cases = json.loads(CASES.read_text())
    bits = [SimData(0, values=BITS, datatype=DataType.BITS)]
    inverted = [SimData(0, values=[not bit for bit in BITS], datatype=DataType.BITS)]
    return SimDevice(id=1, simdata=(bits, inverted, table(cases, "hr"), table(cases, "ir")))


def server(arguments):
    """The server of the transport asked for."""
    free = ("127.0.0.1", 0)
    if arguments.transport == "tcp":
        return ModbusTcpServer(device(), address=free)
    if arguments.transport == "rtu-over-tcp":
        return ModbusTcpServer(device(), address=free, framer=FramerType.RTU)
    if arguments.transport == "tls":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=arguments.ca)
        context.load_cert_chain(arguments.cert, arguments.key)
        if arguments.ca:
            context.verify_mode = ssl.CERT_REQUIRED
        # With the MBAP header, as the Modbus/TCP Security specification has it; pymodbus' own TLS framer leaves it out.
        return ModbusTlsServer(device(), address=free, sslctx=context, framer=FramerType.SOCKET)
    return ModbusSerialServer(device(), port=arguments.device, baudrate=arguments.baud, framer=FramerType.RTU)


async def main():
    """Serves until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=["tcp", "rtu-over-tcp", "tls", "rtu"])
    for name in ("--cert", "--key", "--ca", "--device", "--ready"):
        parser.add_argument(name)
    parser.add_argument("--baud", type=int, default=19200)
    arguments = parser.parse_args()
    serving = server(arguments)
    await serving.serve_forever(background=True)
    port = 0 if arguments.transport == "rtu" else serving.transport.sockets[0].getsockname()[1]
    pathlib.Path(arguments.ready).write_text(f"{port}\n")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
