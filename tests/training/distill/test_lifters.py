"""The lifters learn poses that 2D alone determines, and only they change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from orpose_models.annotations import LabelledImage, PersonLabel
from orpose_models.skeleton import h36m17_from_coco17

torch = pytest.importorskip("torch")

from orpose_models.network import build_student  # noqa: E402
from orpose_models.network.lifter import lifter_input, with_pelvis  # noqa: E402
from orpose_models.network.presets import get_preset  # noqa: E402
from training.data.dataset import Item, LabelConfig  # noqa: E402
from training.distill.lifter_noise import NoiseConfig  # noqa: E402
from training.distill.lifters import LifterConfig, fit_lifters  # noqa: E402
from training.distill.statistics import set_lifter_statistics  # noqa: E402

SIZE = (640, 480)
GENTLE = LifterConfig(views=0, noise=NoiseConfig(heavy_tails=False, dropped=0))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The batches are small, and two threads wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def flat_people(count: int) -> list[Item]:
    """People who stand flat before the camera: 3D is 2D times 5 mm, z is 0."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(count):
        joints = rng.normal((320, 240), 60, (17, 2))
        points = np.zeros((17, 4))
        points[:, :2], points[:, 2], points[:, 3] = h36m17_from_coco17(joints) * 5.0, 3000.0, 2
        low, high = joints.min(0), joints.max(0)
        person = PersonLabel(
            number, number, np.r_[low, high - low], np.column_stack([joints, np.full(17, 2)]), keypoints_3d=points
        )
        items.append(Item(Path("none.png"), LabelledImage(number, "none.png", 640, 480), [person]))
    return items


def mean_error_mm(student, items) -> float:
    joints = torch.tensor(np.stack([item.persons[0].keypoints[:, :2] for item in items]), dtype=torch.float32)
    truth = torch.tensor(np.stack([item.persons[0].keypoints_3d[:, :3] for item in items]), dtype=torch.float32)
    student.eval()
    with torch.no_grad():
        entering = student.heads.lifter_stats.entering(lifter_input(joints, 1.0), torch.ones(len(joints), 16))
        lifted = with_pelvis(student.heads.lifter_stats.restore_3d(student.heads.lifter_soft(entering)))
    return float((lifted - (truth - truth[:, :1])).norm(dim=-1).mean())


@pytest.mark.parametrize("kind", ["paper", "confidence"])
def test_fitting_halves_the_error_and_leaves_the_rest_of_the_network_alone(kind):
    torch.manual_seed(0)
    items = flat_people(128)
    student = build_student(get_preset("lite").with_lifter_input(kind))
    set_lifter_statistics(student, items, LabelConfig(), SIZE)
    others = {name: value.clone() for name, value in student.state_dict().items() if "lifter" not in name}
    before = mean_error_mm(student, items)
    assert fit_lifters(student, items, LabelConfig(), GENTLE, iterations=60, seed=0, size=SIZE) == 128
    assert mean_error_mm(student, items) < 0.5 * before
    after = student.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in others.items())


def test_averaged_weights_whose_gradients_are_off_can_be_fitted():
    items = flat_people(8)
    student = build_student("lite_single").eval().requires_grad_(False)
    before = student.heads.lifter_hard.w2.weight.clone()
    fit_lifters(student, items, LabelConfig(), GENTLE, iterations=2, seed=0, size=SIZE)
    assert not torch.equal(before, student.heads.lifter_hard.w2.weight)
    assert not student.training


def test_without_3d_labels_nothing_is_done():
    items = flat_people(2)
    bare = [Item(i.path, i.image, [PersonLabel(0, 0, i.persons[0].bbox, i.persons[0].keypoints)]) for i in items]
    assert fit_lifters(build_student("lite"), bare, LabelConfig(), GENTLE, iterations=1, seed=0, size=SIZE) == 0
