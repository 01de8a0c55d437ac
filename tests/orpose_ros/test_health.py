"""The containers' health check, against the real node in this process."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from orpose_ros import health
from orpose_ros.counts import BAD_IMAGE, NEWER_FRAME, RATE
from orpose_ros.node import PoseNode

STUCK = {"received": "9", "answered": "1", "dropped": "7", f"dropped: {NEWER_FRAME}": "7"}


def test_a_displaced_frame_is_not_dealt_with():
    assert health.frames(STUCK) == (9, 1)
    assert health.frames({"received": "9", "answered": "1", "dropped": "7", f"dropped: {BAD_IMAGE}": "7"}) == (9, 8)
    assert health.frames({"received": "9", "answered": "1", "dropped": "7", f"dropped: {RATE}": "7"}) == (2, 1)
    assert health.frames({}) == (0, 0)  # an inactive node's status has no values


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        ([], "no diagnostics"),
        ([(5, 5)], "no diagnostics"),  # one leftover of a node that is gone
        ([(5, 5), (5, 5)], ""),  # no images
        ([(5, 5), (9, 8), (20, 19)], ""),
        ([(5, 5), (6, 5)], ""),  # one waits
        ([(5, 5), (12, 5)], "worker hangs"),
        ([(20, 20), (3, 3)], ""),  # activated anew: counts begin at 0
    ],
)
def test_what_is_a_problem(seen, problem):
    found = health.find_problem(seen)
    assert (problem in found) if problem else (found == "")


def test_nodes_of_one_name_in_two_namespaces_are_kept_apart():
    listener = health.Listener("orpose")
    for received, or1, or2 in ((5, 5, 5), (9, 5, 9)):
        for node, finished in (("/or1/orpose", or1), ("/or2/orpose", or2), ("/or2/other", 0)):
            values = [KeyValue(key="received", value=str(received)), KeyValue(key="answered", value=str(finished))]
            status = DiagnosticStatus(name=f"{node}: camera", values=values)
            listener.receive(DiagnosticArray(status=[status]))
    assert {name: bool(health.find_problem(seen)) for name, seen in listener.seen.items()} == {
        "/or1/orpose": True,
        "/or2/orpose": False,
    }


def test_the_node_that_the_environment_names(monkeypatch, capsys):
    monkeypatch.setenv("ORPOSE_NODE", "or1/orpose")
    monkeypatch.setattr(health, "listen", lambda node, window_s: {f"/{node}": [(0, 0), (1, 1)]})
    assert health.main([]) == 0
    assert capsys.readouterr().out == "/or1/orpose: alive\n"


@pytest.fixture
def node(ros, namespace, fake_model) -> PoseNode:
    overrides = [Parameter("model", value=str(fake_model)), Parameter("threads", value=1)]
    node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.failure
    return node


def check(ros, name: str) -> int:
    """Runs the check in a thread of its own, while the node spins in this one."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(health.main(["--node", name])))
    thread.start()
    ros.until(lambda: not thread.is_alive())
    return codes[0]


def test_a_configured_node_is_alive_and_another_is_not(ros, node, namespace, capsys):
    assert check(ros, f"{namespace}/orpose") == 0
    assert capsys.readouterr().out == f"{namespace}/orpose: alive\n"
    assert check(ros, f"{namespace}/other") == 1
    assert "no diagnostics" in capsys.readouterr().out


def test_a_worker_that_hangs(ros, node, namespace, monkeypatch, capsys):
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.failure
    release = threading.Event()
    monkeypatch.setattr(node.estimator, "prepare", lambda *args, **kwargs: release.wait(60))
    driver = ros.add(create_node("driver", namespace=namespace))
    publisher = driver.create_publisher(Image, "camera/image_raw", 10)
    image = Image(height=48, width=64, encoding="bgr8", step=192, data=np.zeros(48 * 192, np.uint8).tobytes())

    def send() -> None:
        image.header.stamp = driver.get_clock().now().to_msg()
        publisher.publish(image)

    driver.create_timer(0.1, send)
    ros.until(lambda: node.cameras["camera"].counts.totals().received > 3)
    try:
        assert check(ros, f"{namespace}/orpose") == 1
    finally:
        release.set()
        node.trigger_deactivate()  # joins the worker
    assert "worker hangs" in capsys.readouterr().out
