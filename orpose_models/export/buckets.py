"""Student -> two ONNX graphs: one finds people, the other their poses, for any number of them (runtime/person_buckets.py)."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path

import onnx
import torch

from orpose_models.errors import ModelError
from orpose_models.export.checks import FORBIDDEN
from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.metadata import ModelMetadata
from orpose_models.export.onnx_export import OPSET, WeightStorage, _strip_traces
from orpose_models.network.heads import KEYPOINT_CELLS
from orpose_models.network.static_parts import FindPeople, FindPoses
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.student import Student
from orpose_models.runtime.models import INPUT_NAME, REFERENCE_INPUT_SIZE
from orpose_models.runtime.person_buckets import FOUND_NAMES, POSE_INPUT_NAMES, POSE_NAMES, POSES_KEY


def export_buckets(
    student: Student,
    path: str | Path,
    input_size: tuple[int, int] = REFERENCE_INPUT_SIZE,
    model_id: str = "unnamed@00000000",
    max_persons: int | None = None,
    weights: WeightStorage = "float16",
) -> ModelMetadata:
    """Writes `NAME.onnx` (image -> people) and `NAME.poses.onnx` (people -> poses), batch 1.

    Arguments and errors are those of `export_onnx`.
    """
    path = Path(path)
    poses = path.with_suffix(".poses.onnx")
    static = StaticStudent(copy.deepcopy(student).float().cpu(), input_size, 1, max_persons).eval()
    metadata = ModelMetadata(
        preset=student.preset.name,
        model_id=model_id,
        input_size=f"{input_size[0]}x{input_size[1]}",
        max_persons=static.max_persons,
        precision=f"float32 / {weights} weights",
    )
    properties = metadata.as_properties()
    people = torch.export.Dim("people", min=1, max=static.max_persons)
    pooled = torch.zeros(2, static.preset.fpn_channels, KEYPOINT_CELLS, KEYPOINT_CELLS)
    # The second first: whoever finds the first finds both.
    graph = to_onnx(FindPoses(static), (pooled, torch.zeros(2, 4)), POSE_INPUT_NAMES, POSE_NAMES, ({0: people}, {0: people}))
    _finish(graph, poses, properties, weights)
    image = torch.zeros(1, input_size[1], input_size[0], 3, dtype=torch.uint8)
    graph = to_onnx(FindPeople(static), (image,), (INPUT_NAME,), FOUND_NAMES, None)
    _finish(graph, path, {**properties, POSES_KEY: poses.name}, weights)
    return metadata


def to_onnx(
    module: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    input_names: tuple[str, ...],
    output_names: tuple[str, ...],
    dynamic_shapes: object,
) -> onnx.ModelProto:
    """A module as an ONNX graph, without the exporter's traces."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, none of which a user can mend
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=dynamic_shapes,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip_traces(model)
    return model


def _finish(model: onnx.ModelProto, path: Path, properties: dict[str, str], weights: WeightStorage) -> None:
    if operators := {node.op_type for node in model.graph.node} & FORBIDDEN:
        raise ModelError(f"exported graph: operators {sorted(operators)} are not static")
    if weights == "float16":
        store_weights_as_float16(model)
    onnx.helper.set_model_props(model, properties)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    try:
        onnx.save(model, str(partial))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
