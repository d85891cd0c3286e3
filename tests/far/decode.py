"""Decodes payloads with libraries that are not ours: pysparkplug, line-protocol-parser, zstandard, gzip, json.

Reads lines of JSON, {"topic": …, "format": …, "payload": hex}; writes one line of JSON for each.
"""
import gzip
import json
import sys

import zstandard
from line_protocol_parser import LineFormatError, parse_line
from pysparkplug._protobuf import Payload


def sparkplug(payload):
    decoded = Payload()
    decoded.ParseFromString(payload)
    metrics = []
    for metric in decoded.metrics:
        value = None
        if not (metric.HasField("is_null") and metric.is_null):
            value = getattr(metric, metric.WhichOneof("value"))
        if isinstance(value, bytes):
            value = value.hex()
        properties = {}
        for key, property_value in zip(metric.properties.keys, metric.properties.values):
            properties[key] = getattr(property_value, property_value.WhichOneof("value"))
        metrics.append({
            "name": metric.name if metric.HasField("name") else None,
            "alias": metric.alias if metric.HasField("alias") else None,
            "time": metric.timestamp if metric.HasField("timestamp") else None,
            "type": metric.datatype if metric.HasField("datatype") else None,
            "past": metric.is_historical,
            "value": value,
            "properties": properties,
        })
    seq = decoded.seq if decoded.HasField("seq") else None
    return {"timestamp": decoded.timestamp, "seq": seq, "metrics": metrics}


def lines(payload):
    decoded = []
    for line in payload.decode().splitlines():
        try:
            decoded.append(parse_line(line))
        except LineFormatError as cause:
            sys.exit(f"no line protocol: {line!r}: {cause}")
    return decoded


DECODERS = {
    "sparkplug": sparkplug,
    "line-protocol": lines,
    "json": json.loads,
    "gzip": lambda payload: json.loads(gzip.decompress(payload)),
    "zstd": lambda payload: json.loads(zstandard.ZstdDecompressor().decompress(payload)),
    "text": lambda payload: payload.decode(),
}

for text in sys.stdin:
    message = json.loads(text)
    decoded = DECODERS[message["format"]](bytes.fromhex(message["payload"]))
    print(json.dumps({"topic": message["topic"], "content": decoded}), flush=True)
