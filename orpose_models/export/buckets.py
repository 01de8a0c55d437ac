"""Student -> two ONNX graphs: one finds people, the other their poses, for any number of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from orpose_models.errors import ConfigError, ModelError
from orpose_models.export.checks import check_graph
from orpose_models.export.config import ExportConfig
from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.metadata import ModelMetadata
from orpose_models.export.onnx_graph import to_onnx
from orpose_models.export.origin import origin_properties
from orpose_models.export.static_graph import build_static, describe
from orpose_models.export.winograd import use_winograd
from orpose_models.network.heads import KEYPOINT_CELLS
from orpose_models.network.static_parts import FindPeople, FindPoses
from orpose_models.network.static_program import grey_image
from orpose_models.network.student import Student
from orpose_models.runtime.backend_onnxruntime import load
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.models import INPUT_NAME
from orpose_models.runtime.person_buckets import (
    FOUND_NAMES,
    PARTS,
    PARTS_KEY,
    POSE_INPUT_NAMES,
    POSE_NAMES,
    BucketBackend,
    poses_file,
)


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes `NAME.onnx` (image -> people) and, beside it, `NAME.poses.onnx` (people -> poses).

    Raises:
        ConfigError: More slots than the preset has proposals, or a single one.
        ModelError: A graph fails a check.
    """
    static = build_static(student, config)
    if static.max_persons == 1:
        raise ConfigError("max_persons: got 1 with --buckets, which leaves out empty slots; leave out --buckets")
    metadata = describe(static, config, model_id)
    poses = poses_file(path)
    people = torch.export.Dim("people", min=1, max=static.max_persons)
    pooled = torch.zeros(2, static.preset.fpn_channels, KEYPOINT_CELLS, KEYPOINT_CELLS)
    inputs = (pooled, torch.zeros(2, 4))
    second = to_onnx(FindPoses(static), inputs, POSE_INPUT_NAMES, POSE_NAMES, ({0: people}, {0: people}))
    first = to_onnx(FindPeople(static), (grey_image(static),), (INPUT_NAME,), FOUND_NAMES, None)
    origin = origin_properties(student, static, (first, second))
    check_graph(second, POSE_NAMES, is_static=False)
    check_graph(first, FOUND_NAMES)
    _save(second, poses, metadata.as_properties(), config)
    _save(first, path, {**metadata.as_properties(), **origin, PARTS_KEY: PARTS}, config)
    _run_once(path, grey_image(static).numpy())
    return metadata


def _run_once(path: Path, image: NDArray[np.uint8]) -> None:
    """Runs both graphs in ONNX Runtime, the second for one person, whoever that is.

    Raises:
        ModelError: One does not load, or gives values that are not finite.
    """
    backend = load(RuntimeConfig(model=str(path)))
    assert isinstance(backend, BucketBackend)
    found = backend.detect({INPUT_NAME: image})
    poses = backend.pose({"roi_features": found["roi_features"][:1], "person_boxes": found["boxes"][0, :1]})
    for name, values in {**found, **poses}.items():
        if not np.isfinite(values).all():
            raise ModelError(f"{path}: output {name!r} is not finite; were the weights trained?")


def _save(model: onnx.ModelProto, path: Path, properties: dict[str, str], config: ExportConfig) -> None:
    use_winograd(model)
    if config.weight_storage == "float16":
        store_weights_as_float16(model)
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, str(path))
