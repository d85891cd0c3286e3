"""Reads a topic as a stranger does: librdkafka fetches, fastavro and Google's protobuf decode, schemas come from the registry.

    kafka_records.py BOOTSTRAP TOPIC COUNT json | avro | protobuf [--registry URL] [--until TEXT]

Prints COUNT records, or all up to the one whose line holds TEXT, as JSON lines: {"key": …, "headers": {…}, "time_ms": …,
"value": …}; what JSON has no word for as text.
"""

import argparse
import base64
import datetime
import decimal
import importlib
import io
import json
import math
import pathlib
import struct
import sys
import tempfile
import time
import urllib.request

import confluent_kafka
import fastavro

PATIENCE_S = 120


def schema(registry, number):
    """The schema of this number, as its readers get it."""
    with urllib.request.urlopen(f"{registry}/schemas/ids/{number}", timeout=PATIENCE_S) as answer:
        return json.load(answer)


def avro(registry, known, value):
    """A record of Avro, behind the head that names its schema."""
    magic, number = struct.unpack(">bI", value[:5])
    assert magic == 0, value[:5]
    if number not in known:
        known[number] = fastavro.parse_schema(json.loads(schema(registry, number)["schema"]))
    rest = io.BytesIO(value[5:])
    record = fastavro.schemaless_reader(rest, known[number])
    assert not rest.read(), "bytes are left over"
    return record


def protobuf(registry, known, value):
    """A record of Protobuf: the head names its file, and which message of it."""
    from google.protobuf import json_format
    magic, number, first = struct.unpack(">bIb", value[:6])
    assert (magic, first) == (0, 0), value[:6]
    if number not in known:
        known[number] = compiled(schema(registry, number)["schema"], number)
    message = known[number].Reading.FromString(value[6:])
    record = json_format.MessageToDict(message, preserving_proto_field_name=True)
    record["value_member"] = message.WhichOneof("value")
    return record


def compiled(text, number):
    """The module that the Protobuf compiler makes of a file."""
    import grpc_tools
    from grpc_tools import protoc
    folder = pathlib.Path(tempfile.mkdtemp())
    name = f"registered_{number}"
    (folder / f"{name}.proto").write_text(text)
    include = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    assert protoc.main(["protoc", f"-I{folder}", f"-I{include}", f"--python_out={folder}", f"{name}.proto"]) == 0
    sys.path.insert(0, str(folder))
    return importlib.import_module(f"{name}_pb2")


def finite(value):
    """NaN and infinities as text."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def told(value):
    """What JSON has no word for, as text."""
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(repr(value))


def main():
    """Reads, decodes, prints."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("count", type=int)
    parser.add_argument("format", choices=["json", "avro", "protobuf"])
    parser.add_argument("--registry")
    parser.add_argument("--until")
    arguments = parser.parse_args()
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": arguments.bootstrap, "group.id": "strangers", "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "topic.metadata.refresh.interval.ms": 1000})
    consumer.subscribe([arguments.topic])
    known = {}
    decode = {"json": lambda value: json.loads(value), "avro": lambda value: avro(arguments.registry, known, value),
              "protobuf": lambda value: protobuf(arguments.registry, known, value)}[arguments.format]
    left = arguments.count
    until = time.monotonic() + PATIENCE_S
    while left > 0:
        message = consumer.poll(1)
        assert time.monotonic() < until, f"{left} records have not come"
        # The topic may still be to come; and a record without value says nothing.
        if message is None or message.error() or message.value() is None:
            continue
        headers = {name: value.decode() for name, value in message.headers() or []}
        record = {"key": message.key().decode(), "headers": headers, "time_ms": message.timestamp()[1],
                  "value": decode(message.value())}
        line = json.dumps(finite(record), default=told, ensure_ascii=False)
        print(line)
        left -= 1
        if arguments.until and arguments.until in line:
            break
    consumer.close()


if __name__ == "__main__":
    main()
