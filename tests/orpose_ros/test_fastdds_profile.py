"""config/fastdds.xml: large images arrive best effort at a subscriber who has no profile at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rclpy import create_node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

PROFILE = Path(__file__).resolve().parents[2] / "config/fastdds.xml"
SENT = 30
#: A camera driver with 640x480 raw images. On default transports one of 200 arrives.
DRIVER = f"""
import array, sys, time
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

rclpy.init()
node = rclpy.create_node("driver", namespace=sys.argv[1])
qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
publisher = node.create_publisher(Image, "image_raw", qos)
image = Image(height=480, width=640, encoding="bgr8", step=1920, data=array.array("B", bytes(480 * 1920)))
deadline = time.monotonic() + 60
while not publisher.get_subscription_count() and time.monotonic() < deadline:
    time.sleep(0.05)
for _ in range({SENT}):
    time.sleep(0.05)
    publisher.publish(image)
time.sleep(1)
"""


def test_large_images_arrive_best_effort(ros, namespace):
    received: list[Image] = []
    node = ros.add(create_node("listener", namespace=namespace))
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, "image_raw", received.append, qos)
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # the second one in Humble and Jazzy
    environment = os.environ | dict.fromkeys(names, str(PROFILE))
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, namespace], env=environment)
    ros.until(lambda: driver.poll() is not None, timeout_s=120)
    assert driver.returncode == 0
    assert len(received) > SENT / 2
