"""What a script without a record does: a line in, a message out. The daemon is measured against it.

    python benchmarks/peers/bare.py PORT BROKER_PORT TOPIC

Nothing is kept: what the broker did not get when this ends, or the broker is away, is lost.
"""

from __future__ import annotations

import json
import re
import sys
import time

import paho.mqtt.client as paho
import serial
from paho.mqtt.enums import CallbackAPIVersion

LINE = re.compile(r"SPO2=(\d+)% BPM=(\d+)")


def main(port: str, broker: int, topic: str) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bare")
    client.connect("127.0.0.1", broker)
    client.loop_start()
    with serial.Serial(port, 9600) as line:
        while True:
            match = LINE.search(line.readline().decode("ascii", "replace"))
            if match is not None:
                readings = {"spo2_pct": int(match[1]), "pulse_rate_per_min": int(match[2]), "received": time.time()}
                client.publish(topic, json.dumps(readings), qos=1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
