"""Checkpoints of random numbers, the same on every machine, and what our network computes on the way."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from orpose_models.network.backbone import normalise
from orpose_models.network.heads import BOX_CELLS, KEYPOINT_CELLS
from orpose_models.network.roi_align import pool_rois
from orpose_models.network.student import Student, _named, _stack

#: Width and height of the test image: the coarsest level has more than one cell, and no level is padded.
SIZE = (160, 128)
#: Numbers drawn for a tensor; larger ones repeat them, at a prime distance, which hits no row twice in the same way.
_PERIOD = 100_003
#: Part of a name -> deviation of a layer's answers, so that there are no ties, some people and some background.
_SPREAD = {
    "lateral": 0.2, "inner_blocks": 0.2, "objectness_logits": 2.0, "cls_logits": 2.0, "anchor_deltas": 0.1,
    "rpn.head.bbox_pred": 0.1, "box_predictor.bbox_pred": 0.6, "cls_score": 1.0, "lowres": 2.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def seeded_tensors(shapes: Mapping[str, tuple[int, ...]], pixel_std: float = 1.0) -> dict[str, Tensor]:
    """float32 tensors of these names and shapes, drawn by name, scaled so that activations stay near 1.

    `pixel_std` is that of the image that enters the first convolution.
    """
    return {name: torch.from_numpy(_seeded(name, shape, pixel_std)) for name, shape in shapes.items()}


def _seeded(name: str, shape: tuple[int, ...], pixel_std: float) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    random = np.random.RandomState(zlib.crc32(name.encode()))
    layer, kind = name.rsplit(".", 1)
    if kind == "running_var":
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if kind == "weight" and len(shape) == 1:  # the last norm of a block small, or sixteen blocks blow up
        low, high = (0.2, 0.4) if layer.endswith(("bn3", "conv3.norm")) else (0.7, 1.3)
        return random.uniform(low, high, shape).astype(np.float32)
    values = np.resize(random.standard_normal(min(int(np.prod(shape)), _PERIOD)), shape)
    if kind == "weight":
        fan_in = shape[0] * 4 if "lowres" in layer else int(np.prod(shape[1:]))
        values *= _spread(layer) / np.sqrt(fan_in)
        if len(shape) == 4 and shape[1] == 3:
            values /= pixel_std
    else:
        values *= 0.1
    return values.astype(np.float32)


def _spread(layer: str) -> float:
    known = [value for part, value in _SPREAD.items() if part in layer]
    return known[0] if known else float(np.sqrt(2))


def seeded_image() -> np.ndarray:
    """uint8 `(H, W, 3)` BGR: noise in blocks of several sizes, for every pyramid level to see some."""
    random, (width, height) = np.random.RandomState(7), SIZE
    image = np.zeros((height, width, 3))
    for block in (2, 8, 32):
        image += np.kron(random.uniform(0, 85, (height // block, width // block, 3)), np.ones((block, block, 1)))
    return image.astype(np.uint8)


@torch.no_grad()
def trace(student: Student, image: np.ndarray) -> dict[str, Tensor]:
    """What the network computes for one BGR image, layer by layer, and its answer decoded as the originals do."""
    dtype = student.rpn.head.cls_logits.weight.dtype
    rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).to(dtype) / 255
    batch, heads, preset = _stack([rgb]), student.heads, student.preset
    pixels = normalise(batch.tensors)
    found = {"stem": student.pyramid.trunk.stages[0][:4](pixels)}
    found |= {f"res{i + 2}": stage for i, stage in enumerate(student.pyramid.trunk(pixels))}
    features = student.pyramid(pixels)
    found |= {f"p{level}": feature for level, feature in zip(preset.fpn_levels, features, strict=True)}
    objectness, moves = student.rpn.head(features)
    for level, logits, deltas in zip(preset.fpn_levels, objectness, moves, strict=True):
        found |= {f"objectness{level}": logits, f"anchor_deltas{level}": deltas}
    proposals = student.rpn(batch, _named(features))[0]
    logits, deltas = heads.box(pool_rois(features, proposals, BOX_CELLS, preset))
    found |= {"proposals": proposals[0], "class_logits": logits, "box_deltas": deltas}
    result = heads.detect(features, proposals, batch.image_sizes)[0]
    maps = heads.keypoint(pool_rois(features, [result["boxes"]], KEYPOINT_CELLS, preset))
    joints, joints_3d = heads.poses(maps, result["boxes"], 1.0, "bicubic")
    found |= {"boxes": result["boxes"], "scores": result["scores"], "heatmaps": maps}
    return found | {"keypoints": joints[..., :2], "joints_3d": joints_3d[..., :3]}


Seeded = Callable[..., dict[str, Tensor]]
Trace = Callable[[Student, np.ndarray], dict[str, Tensor]]


@pytest.fixture(scope="session", name="seeded_tensors")
def _seeded_tensors() -> Seeded:
    return seeded_tensors


@pytest.fixture(scope="session", name="trace")
def _trace() -> Trace:
    return trace


@pytest.fixture(scope="session", name="image")
def _image() -> np.ndarray:
    return seeded_image()
