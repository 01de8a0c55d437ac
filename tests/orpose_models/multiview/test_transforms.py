"""A small tree of frames by hand: chains, blends in time, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.multiview import transforms
from orpose_models.multiview.transforms import TransformTree, UnknownTransformError, pose_matrix

S = 10**9
QUARTER_TURN = (0, 0, np.sqrt(0.5), np.sqrt(0.5))  # about z: x becomes y


def at(*translation: float) -> np.ndarray:
    return pose_matrix(translation, (0, 0, 0, 1))


def test_a_chain_and_its_inverse():
    """The arm hangs 2 m up in the room and is turned; the camera sits 1 m along the arm's x, which is the room's y."""
    tree = TransformTree()
    tree.add("room", "arm", pose_matrix((0, 0, 2), QUARTER_TURN), None)
    tree.add("arm", "camera", at(1, 0, 0), None)
    np.testing.assert_allclose(tree.lookup("room", "camera", 0)[:3, 3], (0, 1, 2), atol=1e-12)
    np.testing.assert_allclose(
        tree.lookup("camera", "room", 0) @ tree.lookup("room", "camera", 0), np.eye(4), atol=1e-12
    )


def test_siblings_are_connected_by_their_parent():
    tree = TransformTree()
    tree.add("ceiling", "room", at(0, 0, -3), None)
    tree.add("ceiling", "camera", at(1, 0, -1), None)
    np.testing.assert_allclose(tree.lookup("room", "camera", 0)[:3, 3], (1, 0, 2))


def test_a_moving_frame_is_blended_in_time():
    tree = TransformTree()
    tree.add("room", "camera", at(0, 0, 0), 1 * S)
    tree.add("room", "camera", pose_matrix((1, 0, 0), QUARTER_TURN), 2 * S)
    middle = tree.lookup("room", "camera", 3 * S // 2)
    assert middle[0, 3] == pytest.approx(0.5)
    np.testing.assert_allclose(middle[:2, 0], (np.sqrt(0.5), np.sqrt(0.5)))
    assert tree.lookup("room", "camera", 21 * S // 10)[0, 3] == 1


@pytest.mark.parametrize("stamp_ns", [0, 3 * S])
def test_long_before_and_after_nothing_is_known(stamp_ns):
    tree = TransformTree()
    for second in (1, 2):
        tree.add("room", "camera", at(second, 0, 0), second * S)
    with pytest.raises(UnknownTransformError, match=r"its nearest stamp is 1\.0 s off"):
        tree.lookup("room", "camera", stamp_ns)


def test_frames_that_are_not_connected():
    tree = TransformTree()
    tree.add("map", "camera", at(0, 0, 0), None)
    with pytest.raises(UnknownTransformError, match="does not connect 'camera' with 'room'"):
        tree.lookup("room", "camera", 0)


def test_a_recording_that_starts_again_forgets_the_future():
    tree = TransformTree()
    tree.add("room", "camera", at(9, 0, 0), 9 * S)
    tree.add("room", "camera", at(1, 0, 0), 1 * S)
    assert tree.lookup("room", "camera", 1 * S)[0, 3] == 1


def test_frames_that_moved_and_are_silent_are_forgotten_others_stay(monkeypatch):
    """A person's frames have a new name with each track, all day long."""
    now_s = 0.0
    monkeypatch.setattr(transforms.time, "monotonic", lambda: now_s)
    tree = TransformTree()
    tree.add("room", "arm", at(0, 0, 2), None)
    for track in range(600):
        now_s = float(track)
        tree.add("arm", "camera", at(1, 0, 0), track * S)
        tree.add("room", f"person_{track}/neck", at(0, 0, 0), track * S)
    assert len(tree._edges) < 30
    np.testing.assert_allclose(tree.lookup("room", "camera", 599 * S)[:3, 3], (1, 0, 2))


def test_a_circle_of_frames_does_not_hang():
    tree = TransformTree()
    tree.add("a", "b", at(1, 0, 0), None)
    tree.add("b", "a", at(1, 0, 0), None)
    with pytest.raises(UnknownTransformError):
        tree.lookup("room", "a", 0)


def test_a_zero_quaternion_is_no_rotation():
    with pytest.raises(ValueError, match="no rotation"):
        pose_matrix((0, 0, 0), (0, 0, 0, 0))
