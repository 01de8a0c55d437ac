"""Profiles of Fast DDS: large images arrive best effort at a subscriber who has no profile at all."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from rclpy import create_node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted((ROOT / "config").glob("fastdds*.xml"))
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


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.name)
def test_large_images_arrive_best_effort(ros, namespace, profile):
    received: list[Image] = []
    node = ros.add(create_node("listener", namespace=namespace))
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(Image, "image_raw", received.append, qos)
    names = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # the second one in Humble and Jazzy
    environment = os.environ | dict.fromkeys(names, str(profile))
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, namespace], env=environment)
    ros.until(lambda: driver.poll() is not None, timeout_s=120)
    assert driver.returncode == 0
    assert len(received) > SENT / 2


def test_the_profile_for_this_computer_only_has_no_network_and_as_much_room():
    """Humble with ROS_LOCALHOST_ONLY=1 adds UDP on 127.0.0.1 itself, to what the profile names."""
    kinds, rooms = {}, set()
    for path in PROFILES:
        root = ElementTree.parse(path).getroot()
        kinds[path.name] = [item.text for item in root.findall(".//{*}type")]
        rooms |= {item.text for item in root.findall(".//{*}segment_size")}
    assert kinds == {"fastdds.xml": ["SHM", "UDPv4"], "fastdds_localhost.xml": ["SHM"]}
    assert len(rooms) == 1


@pytest.mark.parametrize(
    ("distribution", "localhost_only", "given", "used"),
    [
        ("humble", "1", "/a/fastdds.xml", "/a/fastdds_localhost.xml"),
        ("humble", "0", "/a/fastdds.xml", "/a/fastdds.xml"),
        ("jazzy", "1", "/a/fastdds.xml", "/a/fastdds.xml"),
        ("humble", "1", "/own.xml", "/own.xml"),
    ],
)
def test_which_profile_the_containers_take(tmp_path, distribution, localhost_only, given, used):
    script = tmp_path / "entrypoint.sh"  # there is no ROS to source here
    script.write_text((ROOT / "docker/entrypoint.sh").read_text().replace("\nsource ", "\n: "))
    name = "FASTRTPS_DEFAULT_PROFILES_FILE"
    environment = os.environ | {"ROS_DISTRO": distribution, "ROS_LOCALHOST_ONLY": localhost_only, name: given}
    command = ["bash", str(script), "printenv", name]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip() == used
