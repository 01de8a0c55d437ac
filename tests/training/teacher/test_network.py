"""Our own network cut into three stages gives what it gives as a whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from orpose_models.errors import ModelError
from orpose_models.network import build_student, get_preset, load_student, save_weights
from orpose_models.network.conventions import Conventions
from training.teacher.network import NetworkBoxStage, NetworkKeypointStage, NetworkLiftStage, scaled_size
from training.teacher.stages import PLAIN
from training.teacher.tta import augmented_joints

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC))


@torch.no_grad()
def test_boxes_and_joints_are_the_whole_networks(weights, make_teacher_config, image):
    config = make_teacher_config()
    tensor = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy()).float() / 255
    whole = load_student(weights)([tensor])[0]
    (found,) = NetworkBoxStage(config.boxes, CPU).detect([image])
    assert len(found) >= 2
    np.testing.assert_allclose(found.xyxy, whole["boxes"], atol=1e-4)
    np.testing.assert_allclose(found.scores, whole["scores"], atol=1e-6)
    joints = augmented_joints(NetworkKeypointStage(config.keypoints, CPU), image, found.xyxy, (PLAIN,))
    np.testing.assert_allclose(joints, whole["keypoints"], atol=2e-3)


def test_boxes_are_in_the_images_px_whatever_its_size(make_teacher_config, image):
    stage = NetworkBoxStage(make_teacher_config().boxes, CPU)
    large = np.asarray(cv2.resize(image, (256, 192), interpolation=cv2.INTER_NEAREST))
    small, twice = stage.detect([image, large])  # area averages of doubled pixels are the pixels
    np.testing.assert_allclose(twice.xyxy, small.xyxy * 2, atol=1e-3)


@torch.no_grad()
def test_lifting_by_hand(weights):
    from orpose_models.network.lifter import lifter_input

    heads = load_student(weights).heads
    joints = np.random.default_rng(1).uniform(0, 480, (2, 17, 2)).astype(np.float32)
    known = np.ones((2, 17), bool)
    known[1, 11] = False  # left hip: pelvis, left hip and thorax are not known
    entering = lifter_input(torch.from_numpy(joints), 1.0)
    entering[1, [0, 4, 7]] = 0
    standard = (entering - heads.lifter_stats.mean2d) / heads.lifter_stats.std2d
    expected = (heads.lifter_hard(standard) + heads.lifter_soft(standard)) / 2 * heads.lifter_stats.std3d
    lifted = NetworkLiftStage(weights, CPU).lift(joints, known)
    np.testing.assert_allclose(lifted[:, 1:], expected + heads.lifter_stats.mean3d, atol=1e-2)
    assert (lifted[:, 0] == 0).all()


@pytest.mark.parametrize(
    ("scale", "expected"), [(1, (640, 480)), (0.5, (320, 256)), (0.01, (32, 32)), (1.25, (800, 608))]
)
def test_sizes_of_scales_are_multiples_of_32(scale, expected):
    assert scaled_size((640, 480), scale) == expected


def test_lifters_that_were_never_trained_are_refused(tmp_path):
    preset = get_preset("lite").with_conventions(Conventions(has_lifters=False))
    save_weights(build_student(preset), tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"a\.safetensors: its lifters are not trained"):
        NetworkLiftStage(tmp_path / "a.safetensors", CPU)


def test_a_network_sees_the_size_that_it_was_trained_at():
    """320x240 made a multiple of 32 is 320x256: a tenth of it padding."""
    assert scaled_size((320, 240), 1.0) == (320, 240)
    assert scaled_size((320, 240), 2.0) == (640, 480)
