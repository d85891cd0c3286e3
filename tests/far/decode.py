"""Decodes payloads with libraries that are not ours: pysparkplug, line-protocol-parser, zstandard, gzip, json.

Reads lines of JSON, {"topic": …, "format": …, "payload": hex}; writes one line of JSON for each.
"""
import gzip
import json
import sys

import zstandard
from line_protocol_parser import LineFormatError, parse_line
from pysparkplug._protobuf import Payload


def plain(value):
    """JSON has no word for what is no number."""
    return str(value) if isinstance(value, float) and value != value else value


def value_of(metric):
    if metric.HasField("is_null") and metric.is_null:
        return None
    value = getattr(metric, metric.WhichOneof("value"))
    if isinstance(value, bytes):
        return value.hex()
    if metric.WhichOneof("value") == "template_value":
        members = {member.name: {"type": member.datatype, "value": value_of(member)} for member in value.metrics}
        return {"ref": value.template_ref, "definition": value.is_definition, "members": members}
    if metric.WhichOneof("value") == "dataset_value":
        rows = [[plain(getattr(one, one.WhichOneof("value"))) for one in row.elements] for row in value.rows]
        columns = list(value.columns)
        assert value.num_of_columns == len(columns) == len(value.types), value
        return {"columns": columns, "types": list(value.types), "rows": rows}
    return plain(value)


def sparkplug(payload):
    decoded = Payload()
    decoded.ParseFromString(payload)
    metrics = []
    for metric in decoded.metrics:
        value = value_of(metric)
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
