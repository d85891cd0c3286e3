"""The loop that many write first: pymodbus, json, paho, one message a block, nothing kept.

    naive_loop.py BROKER_PORT SECONDS UNITS TAGS PORT...     TAGS of each unit, every SECONDS
"""

import json
import sys
import time

import paho.mqtt.client as mqtt
from pymodbus.client import ModbusTcpClient

BLOCK = 125
broker, units, tags = int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
every = float(sys.argv[2])
uplink = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
uplink.connect("127.0.0.1", broker)
uplink.loop_start()
devices = [ModbusTcpClient("127.0.0.1", port=int(port)) for port in sys.argv[5:]]
assert all(device.connect() for device in devices)
block = 0
due = time.monotonic()
while True:
    for name, device in enumerate(devices):
        for unit in range(1, units + 1):
            for start in range(0, tags, BLOCK):
                reply = device.read_holding_registers(start, count=min(BLOCK, tags - start), device_id=unit)
                body = {"time": time.time(), "device": name, "unit": unit, "start": start, "block": block,
                        "quality": "good", "values": reply.registers}
                uplink.publish(f"naive/{name}/{unit}", json.dumps(body), qos=1)
                block += 1
    due = max(due + every, time.monotonic() - every)
    time.sleep(max(0.0, due - time.monotonic()))
