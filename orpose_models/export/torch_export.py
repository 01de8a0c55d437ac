"""Student -> a saved torch.export program (.pt2), which torch loads without this package."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from orpose_models.errors import ModelError
from orpose_models.export.config import ExportConfig
from orpose_models.export.metadata import ModelMetadata, write_description
from orpose_models.export.static_graph import build_static, describe
from orpose_models.network.static_program import export_program, grey_image
from orpose_models.network.static_student import StaticStudent
from orpose_models.network.student import Student
from orpose_models.runtime.models import OUTPUT_NAMES


def write(student: Student, path: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes the program and its description, loads it again and compares its answer.

    Raises:
        ConfigError: More slots than the preset has proposals, or weights beyond float16's range.
        ModelError: What was loaded answers otherwise.
    """
    static = build_static(student, config)
    metadata = describe(static, config, model_id)
    content = io.BytesIO()  # torch's own writer has no clear error for a full disk
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(export_program(static), content)
    path.write_bytes(content.getbuffer())
    _check(static, path)
    write_description(path, metadata, {"built_by": f"torch {torch.__version__}"})
    return metadata


def _check(static: StaticStudent, path: Path) -> None:
    image = grey_image(static)
    with torch.no_grad():
        expected = static(image)
        got = torch.export.load(str(path)).module()(image)
    for name, ours, theirs in zip(OUTPUT_NAMES, got, expected, strict=True):
        if not torch.isfinite(ours).all():
            raise ModelError(f"{path}: output {name!r} is not finite; were the weights trained?")
        if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
            raise ModelError(f"{path}: output {name!r} of the loaded program is not the network's")
