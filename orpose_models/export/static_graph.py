"""What every format starts from: the static network of a configuration, its description, its exported program."""

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
        ConfigError: More slots than the preset has proposals.
    """
    exact = copy.deepcopy(student).float().cpu()
    try:
        return StaticStudent(exact, config.size, config.batch, config.max_persons).eval()
    except ValueError as error:
        raise ConfigError(f"export: {error}") from None


def describe(static: StaticStudent, config: ExportConfig, model_id: str) -> ModelMetadata:
    """What the file will say about itself."""
    return ModelMetadata(
        preset=static.preset.name,
        model_id=model_id,
        input_size=f"{static.image_size[0]}x{static.image_size[1]}",
        max_persons=static.max_persons,
        precision=f"float32 / {config.weights} weights",
    )
