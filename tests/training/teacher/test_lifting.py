"""Published lifters: what enters by each convention, the statistics file, and the spellings of checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from orpose_models.checkpoints.lifters import read_h36_statistics
from orpose_models.errors import ModelError
from orpose_models.network.lifter import Lifter
from orpose_models.skeleton import COCO17
from training.teacher.config import PublishedLifting
from training.teacher.lifting import PublishedLiftStage

CPU = torch.device("cpu")
#: Human3.6M's 32 joints that the statistics use: all 17 but "Neck/Nose" in 2D, all but the pelvis in 3D.
USED_2D, USED_3D = (0, 1, 2, 3, 6, 7, 8, 12, 13, 15, 17, 18, 19, 25, 26, 27), (
    1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27,
)  # fmt: skip


@pytest.fixture
def statistics(tmp_path):
    """A file of the published layout: means count up, deviations are 2."""
    content = {
        "data_mean_2d": list(range(64)),
        "data_std_2d": [2.0] * 64,
        "dim_to_use_2d": [2 * j + axis for j in USED_2D for axis in range(2)],
        "dim_to_ignore_2d": [],
        "data_mean_3d": list(range(96)),
        "data_std_3d": [2.0] * 96,
        "dim_to_use_3d": [3 * j + axis for j in USED_3D for axis in range(3)],
        "dim_to_ignore_3d": [],
    }
    path = tmp_path / "h36stats.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def lifter() -> Lifter:
    torch.manual_seed(0)
    return Lifter(1024).eval()


@pytest.fixture
def stage(lifter, statistics, tmp_path):
    """`stage(kind, content=None)`: a stage of a checkpoint of that content."""

    def make(kind: str, content=None, **options) -> PublishedLiftStage:
        path = tmp_path / "lifter.pth"
        torch.save(lifter.state_dict() if content is None else content, path)
        return PublishedLiftStage(PublishedLifting(kind=kind, weights=path, statistics=statistics, **options), CPU)

    return make


def test_the_statistics(statistics):
    mean2d, std2d, mean3d, std3d = read_h36_statistics(statistics)
    assert mean2d[4].tolist() == [12, 13] and mean2d[9].tolist() == [30, 31]
    assert mean3d[0].tolist() == [3, 4, 5] and mean3d[15].tolist() == [81, 82, 83]
    assert (std2d == 2).all() and (std3d == 2).all() and std3d.shape == (16, 3)


@pytest.mark.parametrize(("kind", "ninth"), [("orpose", "ears"), ("martinez", "neck")])
def test_what_enters(stage, kind, ninth):
    joints = np.zeros((1, 17, 2), np.float32)
    for number, name in enumerate(COCO17.joint_names):
        joints[0, number] = {"ear": 10, "shoulder": 20, "hip": 40}.get(name.split("_")[-1], 0)
    joints[0, COCO17.index("left_wrist")] = [7, 9]
    entering = stage(kind).entering_joints(joints, np.ones((1, 17), bool))
    # pelvis, right leg, left leg, thorax = mean of hips and shoulders, then neck or head, head top, left arm, right arm
    expected = [40, 40, 0, 0, 40, 0, 0, 30, {"ears": 10, "neck": 20}[ninth], 10, 20, 0, 7, 20, 0, 0]
    assert entering.shape == (1, 16, 2)
    np.testing.assert_allclose(entering[0, :, 0], expected)
    assert entering[0, 12].tolist() == [7, 9]


def test_unknown_joints_enter_as_zeros(stage):
    known = np.ones((1, 17), bool)
    known[0, COCO17.index("left_hip")] = False
    entering = stage("orpose").entering_joints(np.full((1, 17, 2), 100.0), known)[0, :, 0]
    assert entering.tolist() == [0, 100, 100, 100, 0, 100, 100, 0] + [100] * 8


@torch.no_grad()
def test_lifting_is_standardise_network_restore(stage, lifter, statistics):
    lift = stage("martinez")
    joints = np.random.default_rng(0).uniform(0, 640, (3, 17, 2))
    known = np.ones((3, 17), bool)
    mean2d, std2d, mean3d, std3d = read_h36_statistics(statistics)
    out = lifter((torch.from_numpy(lift.entering_joints(joints, known)) - mean2d) / std2d)
    lifted = lift.lift(joints, known)
    assert lifted.shape == (3, 17, 3) and (lifted[:, 0] == 0).all()
    np.testing.assert_allclose(lifted[:, 1:], out * std3d + mean3d, rtol=1e-4, atol=1e-3)


def of_orpose(lifter):
    """A whole ORPose checkpoint: both branches' lifters among other weights."""
    name = "roi_heads.keypoint_head.nw2Dto3D_{}.{}"
    soft = {name.format("soft", k): v for k, v in lifter.state_dict().items()}
    hard = {name.format("hard", k): torch.zeros_like(v) for k, v in lifter.state_dict().items()}
    return {"model": {**soft, **hard, "backbone.stem.weight": torch.ones(3)}, "iteration": 4999}


@pytest.mark.parametrize("content", [
    of_orpose,
    lambda lifter: {"state_dict": lifter.state_dict(), "err": np.float64(45.5), "epoch": 200, "lr": 1e-5},
    lambda lifter: {"state_dict": {f"module.{k}": v for k, v in lifter.state_dict().items()}},
])  # fmt: skip
def test_spellings_of_checkpoints(stage, lifter, content):
    joints, known = np.random.default_rng(0).uniform(0, 640, (2, 17, 2)), np.ones((2, 17), bool)
    np.testing.assert_allclose(
        stage("orpose", content(lifter)).lift(joints, known), stage("orpose").lift(joints, known)
    )


def test_the_hard_branch_of_an_orpose_checkpoint(stage, lifter):
    joints, known = np.random.default_rng(0).uniform(0, 640, (2, 17, 2)), np.ones((2, 17), bool)
    lifted = stage("orpose", of_orpose(lifter), branch="hard").lift(joints, known)
    np.testing.assert_allclose(lifted[0, 1], [3, 4, 5])  # weights 0: the mean


def test_a_lifter_of_another_width(stage):
    with pytest.raises(ModelError, match=r"lifter.pth: does not fit: \d+ of another shape .*expected the lifter"):
        stage("orpose", Lifter(64).state_dict())


@pytest.mark.parametrize(("change", "message"), [
    (lambda s: s.pop("data_mean_2d"), "data_mean_2d: missing"),
    (lambda s: s.update(dim_to_use_2d=[0, 1]), "dim_to_use_2d: expected 32 numbers, got 2"),
    (lambda s: s.update(data_std_3d=[1.0]), "data_std_3d: expected 96 numbers, got 1"),
    (lambda s: s.update(dim_to_use_3d=[99] * 48), "not Human3.6M's"),
    (lambda s: s.update(data_std_2d=[0.0] * 64), "data_std_2d: expected finite numbers, positive ones of deviations"),
    (lambda s: s.update(data_mean_3d=[float("nan")] * 96), "data_mean_3d: expected finite numbers"),
])  # fmt: skip
def test_wrong_statistics(statistics, change, message):
    content = json.loads(statistics.read_text())
    change(content)
    statistics.write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        read_h36_statistics(statistics)


def test_no_statistics(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_h36_statistics(tmp_path / "h36stats.json")
