"""A configure that fails: the reason, nothing left behind, and another try."""

from __future__ import annotations

import pytest
from rclpy.lifecycle import TransitionCallbackReturn

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"model": "missing.onnx"}, "missing.onnx"),
        ({"backend": "onnx"}, "backend: got 'onnx'"),
        ({"cameras": ["a", "a"]}, "named twice"),
        ({"frame_size": "640"}, "WIDTHxHEIGHT"),
    ],
)
def test_configure_fails_with_the_reason(make_node, parameters, expected):
    node = make_node(**parameters)
    assert node.trigger_configure() == FAILURE
    assert expected in node.failure


def test_a_foreign_model_fails_and_leaves_nothing_behind(make_node, make_fake_model):
    node = make_node(model=str(make_fake_model(format=None)))
    publishers = len(list(node.publishers))
    for _ in range(2):
        assert node.trigger_configure() == FAILURE
        assert "not an orpose model" in node.failure
    assert len(list(node.publishers)) == publishers


@pytest.mark.parametrize("failing", ["create_service", "create_timer"])
def test_a_configure_that_fails_late_gives_its_reason_and_can_be_tried_again(make_node, monkeypatch, failing):
    node = make_node()
    publishers, timers = len(list(node.publishers)), len(list(node.timers))
    with monkeypatch.context() as patch:
        patch.setattr(node, failing, lambda *_, **__: 1 / 0)
        assert node.trigger_configure() == FAILURE
    assert "division by zero" in node.failure
    assert (len(list(node.publishers)), len(list(node.timers)), node.estimator) == (publishers, timers, None)
    assert node.trigger_configure() == SUCCESS, node.failure
