"""Equal to torchvision, layer by layer and end to end; and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection import KeypointRCNN, keypointrcnn_resnet50_fpn

from orpose_models.checkpoints.config import ConvertConfig
from orpose_models.checkpoints.importer import Imported, import_checkpoint
from orpose_models.errors import ConfigError, ModelError
from orpose_models.network.presets import R50_SINGLE
from orpose_models.network.static_student import StaticStudent

Tensors = dict[str, Tensor]
#: Fewer than published, for speed, and alike in both.
COUNTS = {"proposals_per_level": 300, "proposals": 100, "max_persons": 3}


@pytest.fixture(scope="module")
def original(seeded_tensors: Callable[..., Tensors]) -> KeypointRCNN:
    model = keypointrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        min_size=128,
        max_size=160,
        rpn_pre_nms_top_n_test=COUNTS["proposals_per_level"],
        rpn_post_nms_top_n_test=COUNTS["proposals"],
        box_detections_per_img=COUNTS["max_persons"],
    )
    model.load_state_dict(seeded_tensors({name: tuple(value.shape) for name, value in model.state_dict().items()}))
    return model.eval()


@pytest.fixture(scope="module")
def checkpoint(original: KeypointRCNN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the names of older files, as the published ones have."""
    path = tmp_path_factory.mktemp("torchvision") / "keypointrcnn.pth"
    old = {
        name.replace("rpn.head.conv.0.0", "rpn.head.conv").replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        if name.startswith(("rpn.head.conv", "backbone.fpn"))
        else name: value
        for name, value in original.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert "backbone.fpn.inner_blocks.3.weight" in old and "rpn.head.conv.bias" in old
    torch.save(old, path)
    return path


@pytest.fixture(scope="module")
def imported(checkpoint: Path) -> Imported:
    return import_checkpoint(checkpoint, ConvertConfig(), R50_SINGLE.model_copy(update=COUNTS))


@torch.no_grad()
def torchvision_trace(model: KeypointRCNN, image: np.ndarray) -> Tensors:
    """The same steps as the fixture `trace`."""
    seen: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, given, answer: seen.update({name: answer})

    parts = {
        "stem": model.backbone.body.maxpool,
        "stages": model.backbone.body,
        "pyramid": model.backbone,
        "rpn_head": model.rpn.head,
        "rpn": model.rpn,
        "box": model.roi_heads.box_predictor,
        "heatmaps": model.roi_heads.keypoint_predictor,
    }
    hooks = [part.register_forward_hook(keep(name)) for name, part in parts.items()]
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).double() / 255
    found = model([rgb])[0]
    for hook in hooks:
        hook.remove()
    logits, deltas = seen["box"]
    return {
        "stem": seen["stem"],
        **{f"res{i + 2}": value for i, value in enumerate(seen["stages"].values())},
        **{f"p{i + 2}": value for i, value in enumerate(seen["pyramid"].values())},
        **{f"objectness{i + 2}": value for i, value in enumerate(seen["rpn_head"][0])},
        **{f"anchor_deltas{i + 2}": value for i, value in enumerate(seen["rpn_head"][1])},
        "proposals": seen["rpn"][0][0],
        "class_logits": logits,
        "box_deltas": deltas[:, 4:],
        "boxes": found["boxes"],
        "scores": found["scores"],
        "heatmaps": seen["heatmaps"][:, None],
        "keypoints": found["keypoints"][..., :2],
    }


def test_equals_torchvision_in_every_layer(
    original: KeypointRCNN, imported: Imported, image: np.ndarray, trace: Callable[..., Tensors]
) -> None:
    original.double()
    expected, got = torchvision_trace(original, image), trace(imported.student, image)
    assert len(expected) == 27
    for name, value in expected.items():
        difference = float((got[name] - value).abs().max() / value.abs().max())
        # torchvision counts the cells of the resized heatmaps in float32
        assert difference < (1e-6 if name == "keypoints" else 1e-12), f"{name}: {difference:.2g} of the largest"
    assert len(expected["boxes"]) == COUNTS["max_persons"]
    assert not got["joints_3d"].any(), "there are no lifters"


@torch.no_grad()
def test_the_static_graph_equals_the_torch_path(imported: Imported, image: np.ndarray) -> None:
    student = imported.student
    static = StaticStudent(student, (image.shape[1], image.shape[0]))(torch.from_numpy(image)[None])
    dynamic = student([torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).double() / 255])[0]
    assert int(static.valid.sum()) == len(dynamic["boxes"]) == COUNTS["max_persons"]
    for name, value in dynamic.items():
        torch.testing.assert_close(getattr(static, name)[0, : len(value)], value, rtol=0, atol=1e-8)


def test_what_the_card_is_told(imported: Imported, checkpoint: Path) -> None:
    facts = imported.facts
    assert facts["source"]["file"] == checkpoint.name
    assert facts["source"]["family"] == "torchvision"
    assert facts["conventions"] == {
        "stride_in_1x1": False,
        "aligned_rois": False,
        "adaptive_sampling": False,
        "rounded_anchors": True,
        "divided_strides": True,
        "has_lifters": False,
    }
    assert facts["folded_into_the_weights"]["batch_norm_eps"] == 1e-5
    assert facts["lifters"].startswith("not trained")


def test_another_eps_is_folded(imported: Imported, checkpoint: Path) -> None:
    """The published COCO_V1 file is computed with 0, ours always with 1e-5."""
    other = import_checkpoint(checkpoint, ConvertConfig(batch_norm_eps=0.0)).student
    for student, eps in ((imported.student, 1e-5), (other, 0.0)):
        norm = student.pyramid.trunk.stages[0][1]
        assert norm.eps == 1e-5
        expected = torch.load(checkpoint)["backbone.body.bn1.weight"].double()
        expected = expected / (torch.load(checkpoint)["backbone.body.bn1.running_var"].double() + eps).sqrt()
        torch.testing.assert_close(norm.weight / (norm.running_var + norm.eps).sqrt(), expected, rtol=1e-12, atol=0)


def test_a_single_branch_becomes_both_of_two(imported: Imported, checkpoint: Path) -> None:
    both = import_checkpoint(checkpoint, ConvertConfig(preset="r50")).student
    hard = imported.student.heads.keypoint.hard.weight
    assert torch.equal(both.heads.keypoint.hard.weight, hard)
    assert torch.equal(both.heads.keypoint.soft.weight, hard)


def test_twice_the_same(imported: Imported, checkpoint: Path) -> None:
    again = import_checkpoint(checkpoint, ConvertConfig()).student.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in imported.student.state_dict().items())


# --- what is refused; a tensor of one repeated number takes no room in a file ---------------------------------------


@pytest.fixture(scope="module")
def ones(original: KeypointRCNN) -> Tensors:
    return {
        name: torch.ones(1).expand(value.shape)
        for name, value in original.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def rename(tensors: Tensors) -> None:
    tensors["backbone.body.bn1.odd"] = tensors.pop("backbone.body.bn1.weight")


def more_classes(tensors: Tensors) -> None:
    tensors["roi_heads.box_predictor.cls_score.weight"] = torch.ones(91, 1024)


def not_a_number(tensors: Tensors) -> None:
    tensors["rpn.head.cls_logits.bias"] = torch.tensor([1.0, float("nan"), 1.0])


def whole_numbers(tensors: Tensors) -> None:
    tensors["rpn.head.cls_logits.bias"] = torch.ones(3, dtype=torch.int8)


def negative_variance(tensors: Tensors) -> None:
    tensors["backbone.body.bn1.running_var"] = -torch.ones(64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            rename,
            r"1 missing \(backbone.body.bn1.weight\); 1 unexpected \(backbone.body.bn1.odd\); expected a keypoint",
        ),
        (more_classes, r"1 of another shape \(.*cls_score.weight \(91, 1024\), expected \(2, 1024\)\)"),
        (not_a_number, r"1 with NaN or infinite numbers \(rpn.head.cls_logits.bias\)"),
        (whole_numbers, r"1 not of floating point numbers \(rpn.head.cls_logits.bias\)"),
        (negative_variance, r"a variance of -1 with an eps of 1e-05"),
    ],
)
def test_wrong_tensors_are_named(
    ones: Tensors, tmp_path: Path, change: Callable[[Tensors], None], message: str
) -> None:
    path, tensors = tmp_path / "a.pth", dict(ones)
    change(tensors)
    torch.save(tensors, path)
    with pytest.raises(ModelError, match=message) as caught:
        import_checkpoint(path, ConvertConfig())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_other_networks_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"fc.weight": torch.ones(2)}, path)
    with pytest.raises(ModelError, match=r"1 tensors \(fc.weight\), none of backbone.body or backbone.bottom_up"):
        import_checkpoint(path, ConvertConfig())
    torch.save({"backbone.body.conv1.weight": torch.ones(2)}, path)
    with pytest.raises(ModelError, match=r"\d+ missing \(backbone.body.bn1.bias, .*\); 1 of another shape"):
        import_checkpoint(path, ConvertConfig())
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"a\.pth: "):
            import_checkpoint(path, ConvertConfig())
    with pytest.raises(ModelError, match="no such weight file; give a keypoint R-CNN"):
        import_checkpoint(tmp_path / "none.pth", ConvertConfig())


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    path, stats = tmp_path / "a.pkl", tmp_path / "h36stats.json"
    mean = np.array([0.0, 0, 0], np.float32)
    for extra, options, error, message in (
        ({}, {"h36stats": stats}, ConfigError, "h36stats: given, but there is no lifter"),
        ({}, {"lifter": path}, ConfigError, "h36stats: none given; lifters need"),
        ({}, {"lifter_kind": "martinez"}, ConfigError, "lifter_kind: given, but there is no --lifter"),
        ({"backbone.body.x": mean}, {"resnet": "msra"}, ConfigError, "resnet: is for detectron2's .* torchvision's"),
        ({"roi_heads.keypoint_head.score_lowres_soft.weight": mean}, {}, ConfigError, "h36stats: none given"),
        (
            {"roi_heads.keypoint_head.score_lowres_soft.weight": mean},
            {"preset": "r50_single", "h36stats": stats},
            ConfigError,
            "preset: got r50_single, which has one keypoint branch, the checkpoint has two",
        ),
        (
            {"roi_heads.keypoint_head.score_lowres_soft.weight": mean},
            {"lifter": path, "h36stats": stats},
            ConfigError,
            "lifter: .* has lifters of its own",
        ),
    ):
        path.write_bytes(pickle.dumps({"model": {"backbone.bottom_up.x": mean, **extra}}))
        with pytest.raises(error, match=message):
            import_checkpoint(path, ConvertConfig(**options))
