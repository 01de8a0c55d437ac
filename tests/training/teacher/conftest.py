"""A network with random weights that finds people everywhere, and the teacher made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from orpose_models.network import build_student
from orpose_models.network.weights import save_weights
from training.teacher.config import TeacherConfig


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """Weights of a `lite` network that takes about half of its proposals for people."""
    torch.manual_seed(3)
    student = build_student("lite").eval()
    with torch.no_grad():
        student.heads.box.score.bias.copy_(torch.tensor([0.0, 0.5]))
        for branch in (student.heads.keypoint.hard, student.heads.keypoint.soft):
            branch.weight.mul_(20_000)  # peaks of all heights
    path = tmp_path_factory.mktemp("weights") / "teacher.safetensors"
    save_weights(student, path)
    return path


#: About half of the network's joints are above.
THRESHOLD = 0.3


def network_teacher(weights: Path, **changes) -> TeacherConfig:
    """Our own network as all three stages, small input, low thresholds."""
    eye = {"kind": "network", "weights": weights, "size": [128, 96]}
    values = {
        "name": "test",
        "boxes": eye,
        "keypoints": eye,
        "lifting": {"kind": "network", "weights": weights},
        "joint_threshold": THRESHOLD,
        "max_people": 3,
        "device": "cpu",
        **changes,
    }
    return TeacherConfig(**values)


@pytest.fixture(scope="session")
def make_teacher_config(weights):
    """`make(**changes)`: the settings of `network_teacher`."""
    return lambda **changes: network_teacher(weights, **changes)
