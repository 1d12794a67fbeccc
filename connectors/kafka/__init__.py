"""Kafka: read and write topics, with the formats of their records."""

from connectors.kafka.avro import Avro
from connectors.kafka.formats import Bytes, Format, Json, Text
from connectors.kafka.record import KafkaRecord
from connectors.kafka.sink import KafkaSink
from connectors.kafka.source import KafkaSource

__all__ = ["Avro", "Bytes", "Format", "Json", "KafkaRecord", "KafkaSink", "KafkaSource", "Text"]
