"""What every format starts from: the static network of a configuration, and its description."""

from __future__ import annotations

import copy

from orpose_models.errors import ConfigError
from orpose_models.export.config import ExportConfig
from orpose_models.export.metadata import ModelMetadata
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.student import Student


def build_static(student: Student, config: ExportConfig) -> StaticStudent:
    """The static network of a student, whose weights are copied.

    Raises:
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
    """
    exact = copy.deepcopy(student).float().cpu()
    float16 = config.precision == "fp16"
    try:
        return StaticStudent(
            exact, config.size, config.batch, config.max_persons, frame_size=config.frame_size, float16=float16
        ).eval()
    except ValueError as error:
        raise ConfigError(str(error)) from None


def describe(static: StaticStudent, config: ExportConfig, model_id: str) -> ModelMetadata:
    """What the file will say about itself."""
    stored = config.weight_storage
    return ModelMetadata(
        preset=static.preset.name,
        model_id=model_id,
        input_size=_size(static.image_size),
        network_size=_size(static.input_size),
        batch=static.batch,
        max_persons=static.max_persons,
        precision="float16, boxes in float32" if static.float16 else f"float32 / {stored} weights",
    )


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
