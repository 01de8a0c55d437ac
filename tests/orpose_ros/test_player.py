"""The player's stamps."""

from __future__ import annotations

import time

import numpy as np
from rclpy import create_node
from rclpy.qos import ReliabilityPolicy

from orpose_models.bags import compressed_message
from orpose_ros.player import Player


def test_no_stamp_is_sent_twice_though_the_clock_is_set_back(ros, namespace, monkeypatch):
    """Stamps are the frames' names in the account."""
    player = Player(ros.add(create_node("player", namespace=namespace)), "camera", True, ReliabilityPolicy.RELIABLE)
    message = compressed_message(np.zeros((8, 8, 3), np.uint8), "/camera/image_raw/compressed", 0).cdr
    clock_ns = iter([100, 100, 50, 60, 200])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock_ns))
    assert [player.send(message) for _ in range(5)] == [100, 101, 102, 103, 200]
