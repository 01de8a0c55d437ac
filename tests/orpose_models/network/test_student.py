"""The training way: which losses come out, what they depend on, and what bad targets get."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from orpose_models.network import Student, build_student

LOSSES = {
    "loss_objectness",
    "loss_rpn_box_reg",
    "loss_classifier",
    "loss_box_reg",
    "loss_2d_hard",
    "loss_2d_soft",
    "loss_3d_hard",
    "loss_3d_soft",
}


@pytest.fixture
def student() -> Student:
    return build_student("lite").train()


def image() -> Tensor:
    return torch.rand(3, 128, 160)


def test_all_losses_come_out_and_reach_every_parameter(student: Student, target: dict[str, Tensor]) -> None:
    losses = student([image(), image()], [target, target])
    assert set(losses) == LOSSES
    total = sum(losses.values())
    assert torch.isfinite(total)
    total.backward()
    without = [name for name, p in student.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not without


def test_an_image_without_people_trains_the_detector_only(student: Student, target: dict[str, Tensor]) -> None:
    empty = {key: value[:0] for key, value in target.items()}
    losses = student([image(), image()], [empty, empty])
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert losses["loss_objectness"] > 0
    for name in ("loss_box_reg", "loss_2d_hard", "loss_2d_soft", "loss_3d_hard", "loss_3d_soft"):
        assert losses[name] == 0


def test_images_of_different_sizes_share_a_batch(student: Student, target: dict[str, Tensor]) -> None:
    losses = student([image(), torch.rand(3, 100, 120)], [target, target])
    assert all(torch.isfinite(value) for value in losses.values())


def test_batch_norm_learns(student: Student, target: dict[str, Tensor]) -> None:
    before = {k: v.clone() for k, v in student.state_dict().items() if "running_mean" in k}
    student([image(), image()], [target, target])
    after = student.state_dict()
    unmoved = [k for k, v in before.items() if torch.equal(v, after[k])]
    assert not unmoved


def test_without_visible_joints_the_hard_branch_and_the_lifters_have_nothing_to_learn(
    student: Student, target: dict[str, Tensor]
) -> None:
    target["keypoints_hard"][..., 2] = 0
    losses = student([image(), image()], [target, target])
    assert losses["loss_2d_hard"] == 0
    assert losses["loss_3d_hard"] == losses["loss_3d_soft"] == 0, "people with an empty hard 2D are left out"
    assert losses["loss_2d_soft"] > 0


def test_3d_labels_are_optional(student: Student, target: dict[str, Tensor]) -> None:
    del target["keypoints_3d_soft"], target["keypoints_3d_hard"]
    losses = student([image(), image()], [target, target])
    assert losses["loss_3d_hard"] == losses["loss_3d_soft"] == 0


def test_hard_3d_target_chooses_the_label(target: dict[str, Tensor]) -> None:
    target["keypoints_3d_hard"][..., 3] = 0
    for choice, learns in (("s3d", True), ("h3d", False)):
        student = build_student("lite", hard_3d_target=choice).train()  # type: ignore[arg-type]
        losses = student([image(), image()], [target, target])
        assert bool(losses["loss_3d_hard"] > 0) is learns


@pytest.mark.parametrize("labels", ["hard", "soft", "hard+soft"])
def test_a_single_branch_learns_from_the_labels_it_is_told_to(labels: str, target: dict[str, Tensor]) -> None:
    """Table 3: with both kinds of labels both kinds of losses go to the one layer and the one lifter."""
    student = build_student("lite_single", trained_labels=labels).train()  # type: ignore[arg-type]
    losses = student([image(), image()], [target, target])
    kinds = labels.split("+")
    assert {name for name in losses if "d_" in name} == {f"loss_{d}_{kind}" for d in ("2d", "3d") for kind in kinds}
    assert losses.keys() <= LOSSES
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in student.parameters())
    for kind in kinds:
        layer = torch.autograd.grad(
            student([image(), image()], [target, target])[f"loss_2d_{kind}"], student.heads.keypoint.hard.weight
        )
        assert layer[0].abs().sum() > 0


def test_two_branches_need_both_labels() -> None:
    with pytest.raises(ValueError, match=r"two branches need hard\+soft, got 'hard'; use lite_single"):
        build_student("lite", trained_labels="hard")


def test_a_single_branchs_poses_are_its_own() -> None:
    student = build_student("lite_single").eval()
    maps = torch.randn(2, 1, 17, 56, 56)
    boxes = torch.tensor([[10.0, 10, 60, 90], [0, 0, 30, 30]])
    twice = build_student("lite").eval()
    twice.load_state_dict({**twice.state_dict(), **student.state_dict()})
    twice.heads.lifter_soft.load_state_dict(student.heads.lifter_hard.state_dict())
    for decoding in ("subcell", "bicubic"):
        own = student.heads.poses(maps, boxes, 1.0, decoding)
        both = twice.heads.poses(maps.expand(-1, 2, -1, -1, -1), boxes, 1.0, decoding)
        for one, other in zip(own, both, strict=True):
            torch.testing.assert_close(one, other)


def test_convolutions_in_bfloat16_change_training_a_little_and_inference_not_at_all(student: Student) -> None:
    head, features = student.heads.keypoint, torch.randn(4, student.preset.fpn_channels, 14, 14)
    exact = head(features)
    head.train_in_bf16 = True
    coarse = head(features)
    assert coarse.dtype == torch.float32
    assert 1e-5 < (coarse - exact).detach().abs().max() < 0.1 * exact.detach().abs().max()
    head.eval()
    inferred = head(features)
    head.train_in_bf16 = False
    assert torch.equal(head(features), inferred)


def test_autocast_leaves_boxes_in_float32_and_changes_losses_little(
    student: Student, target: dict[str, Tensor]
) -> None:
    pictures, seen = [image(), image()], []
    student.rpn.register_forward_hook(lambda _, __, output: seen.extend(output[0]))
    losses = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(student(pictures, [target, target]))
    assert {boxes.dtype for boxes in seen} == {torch.float32}
    for name in LOSSES:
        assert losses[1][name].item() == pytest.approx(losses[0][name].item(), rel=0.25, abs=0.02), name
    sum(losses[1].values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in student.parameters())


def test_weights_of_people_scale_their_losses(student: Student, target: dict[str, Tensor]) -> None:
    target["weights"] = torch.zeros(len(target["boxes"]))
    losses = student([image(), image()], [target, target])
    for name in ("loss_2d_hard", "loss_2d_soft", "loss_3d_hard", "loss_3d_soft"):
        assert losses[name] == 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("boxes", None, r"target 'boxes': expected shape \(-1, 4\), got nothing"),
        ("keypoints_hard", None, r"target 'keypoints_hard': expected shape \(3, 17, 3\), got nothing"),
        ("keypoints_soft", torch.zeros(3, 16, 3), r"'keypoints_soft': expected shape \(3, 17, 3\), got \(3, 16, 3\)"),
        ("keypoints_3d_soft", torch.zeros(2, 17, 4), r"'keypoints_3d_soft': expected shape \(3, 17, 4\)"),
        ("joint_weights", torch.ones(3, 16), r"'joint_weights': expected shape \(3, 17\), got \(3, 16\)"),
    ],
)
def test_bad_targets_are_named(
    student: Student, target: dict[str, Tensor], key: str, value: Tensor | None, message: str
) -> None:
    if value is None:
        del target[key]
    else:
        target[key] = value
    with pytest.raises(ValueError, match=message):
        student([image()], [target])


def test_training_needs_targets(student: Student) -> None:
    with pytest.raises(ValueError, match="expected one dict per image"):
        student([image()])


@torch.no_grad()
def test_it_overfits_a_bright_box() -> None:
    """The whole way learns from scratch: in a few steps the losses of both stages and both branches fall."""
    student = build_student("lite").train()
    picture = torch.full((3, 96, 128), 0.2)
    picture[:, 20:80, 40:80] = 0.9
    points = torch.rand(1, 17, 2) * torch.tensor([36.0, 56]) + torch.tensor([42.0, 22])
    joints = torch.cat([points, torch.ones(1, 17, 1)], dim=2)
    target = {"boxes": torch.tensor([[40.0, 20, 80, 80]]), "keypoints_soft": joints, "keypoints_hard": joints}
    optimiser = torch.optim.AdamW(student.parameters(), lr=2e-3)
    history = []
    for _ in range(15):
        with torch.enable_grad():
            losses = student([picture, picture], [target, target])
            optimiser.zero_grad()
            sum(losses.values()).backward()
        optimiser.step()
        history.append({k: float(v) for k, v in losses.items()})
    for name in ("loss_objectness", "loss_classifier", "loss_2d_hard", "loss_2d_soft"):
        assert history[-1][name] < 0.8 * history[0][name], name
