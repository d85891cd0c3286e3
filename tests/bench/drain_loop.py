"""Store and forward as many write it first: blocks as JSON text in SQLite, read back, sent with paho, deleted.

    drain_loop.py BROKER_PORT BLOCKS     of 125 values each; prints the seconds of processor time that the sending took
"""

import json
import sqlite3
import sys
import tempfile
import threading
import time

import paho.mqtt.client as mqtt

BLOCK, BEHIND_MAX = 125, 1000
broker, blocks = int(sys.argv[1]), int(sys.argv[2])
store = sqlite3.connect(tempfile.mkdtemp() + "/store.db")
store.execute("CREATE TABLE blocks (id INTEGER PRIMARY KEY, content TEXT)")
values = list(range(BLOCK))
rows = ((json.dumps({"time": time.time(), "start": block % 8 * BLOCK, "values": values}),) for block in range(blocks))
store.executemany("INSERT INTO blocks (content) VALUES (?)", rows)
store.commit()

behind = threading.Semaphore(BEHIND_MAX)
uplink = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
uplink.max_inflight_messages_set(BEHIND_MAX)
uplink.on_publish = lambda *_: behind.release()
uplink.connect("127.0.0.1", broker)
uplink.loop_start()
began = time.process_time()
for number, content in store.execute("SELECT id, content FROM blocks ORDER BY id"):
    body = json.loads(content) | {"device": 0, "block": number, "quality": "good"}
    behind.acquire()
    uplink.publish("naive/0", json.dumps(body), qos=1)
for _ in range(BEHIND_MAX):
    behind.acquire()
store.execute("DELETE FROM blocks")
store.commit()
print(time.process_time() - began)
