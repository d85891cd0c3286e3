"""Prints how many records a topic has, all partitions together, for each line that it is given: BOOTSTRAP TOPIC."""

import sys

from confluent_kafka import Consumer, TopicPartition

topic = sys.argv[2]
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "bench"})
for _ in sys.stdin:
    partitions = consumer.list_topics(timeout=30).topics
    known = partitions[topic].partitions if topic in partitions else []
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=30)[1] for each in known]
    print(sum(ends), flush=True)
