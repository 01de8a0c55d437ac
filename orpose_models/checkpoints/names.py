"""Where each of our layers is in the files of torchvision, detectron2 and ORPose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from orpose_models.network.presets import Preset

#: Blocks of ResNet-50's four stages.
_BLOCKS = (3, 4, 6, 3)
#: torchvision's and our name of a part of a block -> detectron2's.
_DETECTRON2_PARTS = {
    **{f"conv{i}": f"conv{i}" for i in (1, 2, 3)},
    **{f"bn{i}": f"conv{i}.norm" for i in (1, 2, 3)},
    "downsample.0": "shortcut",
    "downsample.1": "shortcut.norm",
}
#: Older torchvision files' names, as torchvision renames them too.
_RENAMED = (
    (re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"rpn\.head\.conv\.(weight|bias)"), r"rpn.head.conv.0.0.\1"),
)


def torchvision_layers(preset: Preset) -> dict[str, str]:
    """Our layer -> its name in a torchvision `keypointrcnn_resnet50_fpn`."""
    names = {"pyramid.trunk.stages.0.0": "backbone.body.conv1", "pyramid.trunk.stages.0.1": "backbone.body.bn1"}
    for stage, block, part, ours in _trunk_parts():
        names[ours] = f"backbone.body.layer{stage + 1}.{block}.{part}"
    for i in range(len(preset.roi_levels)):
        names[f"pyramid.lateral.{i}"] = f"backbone.fpn.inner_blocks.{i}.0"
        names[f"pyramid.output.{i}"] = f"backbone.fpn.layer_blocks.{i}.0"
    for part in ("conv.0.0", "cls_logits", "bbox_pred"):
        names[f"rpn.head.{part}"] = f"rpn.head.{part}"
    for fc in ("fc6", "fc7"):
        names[f"heads.box.{fc}"] = f"roi_heads.box_head.{fc}"
    names["heads.box.score"] = "roi_heads.box_predictor.cls_score"
    names["heads.box.delta"] = "roi_heads.box_predictor.bbox_pred"
    for i in range(preset.keypoint_head_layers):
        names[f"heads.keypoint.convs.{2 * i}"] = f"roi_heads.keypoint_head.{2 * i}"
    for branch in ("hard", "soft")[: preset.branches]:
        names[f"heads.keypoint.{branch}"] = "roi_heads.keypoint_predictor.kps_score_lowres"
    return names


def detectron2_layers(preset: Preset, two_branches: bool) -> dict[str, str]:
    """Our layer -> its name in a detectron2 keypoint R-CNN; in ORPose's variant of it there are `two_branches`."""
    stem = "backbone.bottom_up.stem.conv1"
    names = {"pyramid.trunk.stages.0.0": stem, "pyramid.trunk.stages.0.1": f"{stem}.norm"}
    for stage, block, part, ours in _trunk_parts():
        names[ours] = f"backbone.bottom_up.res{stage + 2}.{block}.{_DETECTRON2_PARTS[part]}"
    for i, level in enumerate(preset.roi_levels):
        names[f"pyramid.lateral.{i}"] = f"backbone.fpn_lateral{level}"
        names[f"pyramid.output.{i}"] = f"backbone.fpn_output{level}"
    rpn = {"conv.0.0": "conv", "cls_logits": "objectness_logits", "bbox_pred": "anchor_deltas"}
    for ours, theirs in rpn.items():
        names[f"rpn.head.{ours}"] = f"proposal_generator.rpn_head.{theirs}"
    box = {"fc6": "box_head.fc1", "fc7": "box_head.fc2", "score": "box_predictor.cls_score"}
    for ours, theirs in {**box, "delta": "box_predictor.bbox_pred"}.items():
        names[f"heads.box.{ours}"] = f"roi_heads.{theirs}"
    head = "roi_heads.keypoint_head"
    for i in range(preset.keypoint_head_layers):
        names[f"heads.keypoint.convs.{2 * i}"] = f"{head}.conv_fcn{i + 1}"
    for branch in ("hard", "soft")[: preset.branches]:
        suffix = "_soft" if two_branches and branch == "soft" else ""
        names[f"heads.keypoint.{branch}"] = f"{head}.score_lowres{suffix}"
        if two_branches:
            names |= {f"heads.lifter_{branch}.{part}": f"{head}.nw2Dto3D_{branch}.{part}" for part in _lifter_parts()}
    return names


def newest_names(tensors: Mapping[str, object]) -> dict[str, str]:
    """Today's name of each tensor of a file -> the file's own."""
    return {_renamed(name): name for name in tensors}


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        if pattern.fullmatch(name):
            return pattern.sub(replacement, name)
    return name


def _trunk_parts() -> Iterator[tuple[int, int, str, str]]:
    """Stage, block, torchvision's name of a part of the block, and our full name of it."""
    for stage, blocks in enumerate(_BLOCKS):
        folder = "pyramid.trunk.stages.0.4" if stage == 0 else f"pyramid.trunk.stages.{stage}"
        for block in range(blocks):
            for part in _DETECTRON2_PARTS:
                if block == 0 or not part.startswith("downsample"):
                    yield stage, block, part, f"{folder}.{block}.{part}"


def _lifter_parts() -> list[str]:
    stage = ("w1", "batch_norm1", "w2", "batch_norm2")
    return ["w1", "batch_norm1", "w2", *(f"linear_stages.{i}.{part}" for i in range(2) for part in stage)]
