"""Soft and hard labels and their 3D, by hand; devices and missing parts."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from orpose_models.errors import BackendError, ConfigError, ModelError
from training.data.geometry import lifter_matrix
from training.teacher.build import build_teacher, choose_device
from training.teacher.config import read_teacher_config
from training.teacher.stages import Boxes
from training.teacher.teacher import Teacher, pseudo_labels, usable_boxes


class SumLift:
    """A "lifter" that shows what it was given: x of joint h is the number of known joints, y the first joint's x."""

    def lift(self, joints, confidence):
        lifted = np.zeros((len(joints), 17, 3), np.float32)
        lifted[..., 0] = (confidence > 0).sum(axis=1)[:, None]
        lifted[..., 1] = joints[:, 0, 0][:, None]
        return lifted


@pytest.fixture
def people():
    """Two people of an image of 240 lines: all joints at (10 i, 5 i); confidences 0.9 but 0.4 of the left hip; none."""
    joints = np.zeros((2, 17, 3), np.float32)
    joints[..., 0], joints[..., 1] = 10 * np.arange(17) + 8, 5 * np.arange(17)
    joints[0, :, 2], joints[0, 11, 2], joints[1, :, 2] = 0.9, 0.4, 0.1
    joints[0, 0, 2] = 1.7  # heatmaps may exceed 1
    boxes = Boxes(np.array([[10, 20, 110, 220], [0, 0, 50, 60]], np.float32), np.array([0.95, 0.7], np.float32))
    return pseudo_labels(boxes, joints, SumLift(), 0.5, lifter_matrix((320, 240), (640, 480)), image_id=7)


def test_soft_and_hard_joints(people):
    first, second = people
    assert first.bbox.tolist() == [10, 20, 100, 200] and first.score == 0.95
    assert (first.annotation_id, first.image_id, second.annotation_id) == (7001, 7, 7002)
    assert first.keypoints_soft[0].tolist() == [8, 0, 1.0]
    np.testing.assert_allclose(first.keypoints_soft[11], [118, 55, 0.4])
    assert first.keypoints[11].tolist() == [0, 0, 0]
    assert first.keypoints[12].tolist() == [128, 60, 2]
    assert (first.num_keypoints, second.num_keypoints) == (16, 0)
    np.testing.assert_allclose(second.keypoints_soft[16], [168, 80, 0.1])


def test_3d_of_each_set(people):
    first, second = people
    # S3D sees all joints, H3D the hard ones; both px of a frame of 480 lines: twice 8
    assert first.keypoints_3d_soft[5].tolist() == [17, 16, 0, 2]
    assert first.keypoints_3d_hard[5, :3].tolist() == [16, 16, 0]
    # made with the left hip: pelvis, left hip, thorax
    flags = [1, 2, 2, 2, 1, 2, 2, 1] + [2] * 9
    assert first.keypoints_3d_soft[:, 3].tolist() == first.keypoints_3d_hard[:, 3].tolist() == flags
    # nobody's hard joints lift to nothing
    assert (second.keypoints_3d_hard == 0).all() and (second.keypoints_3d_soft[:, 3] == 1).all()


def test_a_wide_image_is_lifted_as_it_lies_in_a_640x480_frame(make_teacher_config):
    """As a network's own 3D joints of it are: 1280x720 is half as large there."""

    class OneBox:
        def detect(self, images, scale=1.0):
            return [Boxes(np.array([[0, 0, 50, 60]], np.float32), np.array([0.9], np.float32))]

    class Joints:
        def heatmaps(self, image, boxes, view):
            return torch.zeros(len(boxes), 17, 1, 1)

        def decode(self, heatmaps, boxes):
            return np.tile(np.float32([400, 90, 0.9]), (len(boxes), 17, 1))

    teacher = Teacher(OneBox(), Joints(), SumLift(), make_teacher_config())
    ((person,),) = teacher.label([np.zeros((720, 1280, 3), np.uint8)], [0])
    assert person.keypoints_3d_soft[5].tolist() == [17, 200, 0, 2]


def test_nobody():
    empty = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert pseudo_labels(empty, np.zeros((0, 17, 3), np.float32), SumLift(), 0.5, np.eye(2, 3), 0) == []


def test_boxes_are_cut_chosen_and_limited():
    boxes = Boxes(
        np.array([[-5, -5, 50, 50], [100, 10, 300, 90], [199.5, 0, 260, 50], [0, 0, 9, 9], [1, 1, 8, 8]], np.float32),
        np.array([0.9, 0.8, 0.8, 0.6, 0.3], np.float32),
    )
    used = usable_boxes(boxes, (100, 200, 3), 0.5, 2)
    assert used.xyxy.tolist() == [[0, 0, 50, 50], [100, 10, 200, 90]]
    assert len(usable_boxes(boxes, (100, 200, 3), 0.5, 50)) == 3


def test_devices(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    for name in ("cuda", "cuda:3"):
        with pytest.raises(BackendError, match=f"device {name}: this machine has 0 CUDA devices"):
            choose_device(name)


def test_workers_take_the_gpus_in_turn(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    for worker, gpu in ((0, 0), (3, 3), (5, 1)):
        monkeypatch.setattr("orpose_models.bulk._worker_number", worker)
        assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", gpu)
        assert choose_device("cuda:2") == torch.device("cuda", 2)
        assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["paper", "transformers", "network", "sspcm"])
def test_the_shipped_configurations_are_valid(name):
    config = read_teacher_config(f"training/configs/teacher_{name}.yaml")
    assert config.name == name
    assert config.box_views.flip and config.keypoint_views.flip
    if name == "paper":  # ORPose's own lifters are those of its distilled student
        assert config.lifting.kind == "martinez"


OWN_KEYPOINTS = "keypoints:\n  kind: network\n  weights: weights/teacher.safetensors\n  size: [640, 480]"


@pytest.mark.parametrize(("old", "new", "message"), [
    ("kind: network", "kind: magic", "boxes: input tag 'magic' found using 'kind' does not match"),
    ("box_views", "box_view", "box_view: extra inputs are not permitted"),
    ("scales: [1.0]", "scales: []", "box_views.scales: "),
    ("name: network", "", "name: field required"),
    (OWN_KEYPOINTS, "keypoints: {kind: vitpose, dark_kernel: 4}", "dark_kernel: got 4: expected an odd number"),
])  # fmt: skip
def test_wrong_configurations_are_one_line(tmp_path, old, new, message):
    path = tmp_path / "teacher.yaml"
    with open("training/configs/teacher_network.yaml") as file:
        path.write_text(file.read().replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        read_teacher_config(path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_there(make_teacher_config, tmp_path):
    eye = {"kind": "network", "weights": tmp_path / "none.safetensors"}
    with pytest.raises(ModelError, match="no such weight file"):
        build_teacher(make_teacher_config(boxes=eye))


@pytest.mark.skipif(importlib.util.find_spec("detectron2") is not None, reason="detectron2 is installed here")
def test_detectron2_where_it_is_not_installed(make_teacher_config):
    with pytest.raises(BackendError, match=r"detectron2: not installed .*install it from its repository"):
        build_teacher(make_teacher_config(boxes={"kind": "detectron2"}))
