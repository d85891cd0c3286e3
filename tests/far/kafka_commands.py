"""Sends commands to a topic as a stranger does, and prints what comes to the topic of answers: librdkafka on both sides.

    kafka_commands.py BOOTSTRAP TOPIC ANSWERS

Takes JSON lines on its input: {"value": TEXT, "key": …, "correlation": …, "time_ms": …, "aborted": true}; all but the value
may be left out. Prints each answer as a line: {"key": …, "headers": {…}, "value": …}.
"""

import json
import sys
import threading
import time

import confluent_kafka

PATIENCE_S = 120


def send(bootstrap, topic):
    """Produces each line; one that is to be aborted in a transaction that is aborted once it has arrived."""
    plain = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for line in sys.stdin:
        wanted = json.loads(line)
        headers = [("kafka_correlationId", wanted["correlation"].encode())] if "correlation" in wanted else []
        record = {"topic": topic, "value": wanted["value"].encode(), "key": wanted.get("key"), "headers": headers}
        if "time_ms" in wanted:
            record["timestamp"] = wanted["time_ms"]
        if wanted.get("aborted"):
            producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "transactional.id": "stranger"})
            producer.init_transactions(PATIENCE_S)
            producer.begin_transaction()
            producer.produce(**record)
            producer.flush(PATIENCE_S)
            producer.abort_transaction(PATIENCE_S)
        else:
            plain.produce(**record)
            plain.flush(PATIENCE_S)


def main():
    """Sends and prints until its input ends."""
    bootstrap, topic, answers = sys.argv[1:]
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "strangers",
                                         "enable.auto.commit": False, "topic.metadata.refresh.interval.ms": 1000})
    consumer.assign([confluent_kafka.TopicPartition(answers, 0, confluent_kafka.OFFSET_BEGINNING)])
    sending = threading.Thread(target=send, args=(bootstrap, topic), daemon=True)
    sending.start()
    while sending.is_alive():
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            time.sleep(0.2)
            continue
        headers = {name: value.decode() for name, value in message.headers() or []}
        key = message.key().decode() if message.key() is not None else None
        print(json.dumps({"key": key, "headers": headers, "value": json.loads(message.value())}), flush=True)
    consumer.close()


if __name__ == "__main__":
    main()
