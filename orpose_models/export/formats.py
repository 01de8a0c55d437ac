"""The formats of `orpose export`: one module each, imported only when asked for. Imports neither torch nor onnx."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orpose_models.errors import BackendError, ConfigError
from orpose_models.export.config import ExportConfig
from orpose_models.export.metadata import ModelMetadata
from orpose_models.export.staging import staged
from orpose_models.runtime.backends import import_library

if TYPE_CHECKING:
    from orpose_models.network import Student


class Format(NamedTuple):
    """Module with `write(student, path, config, model_id) -> ModelMetadata`, and what it needs."""

    module: str
    suffix: str
    library: str
    install: str


_EXTRA = "pip install 'orpose[{}]'"
FORMATS = {
    "onnx": Format("onnx_export", ".onnx", "onnxscript", _EXTRA.format("export")),
    "openvino": Format("openvino_export", ".xml", "openvino", _EXTRA.format("openvino")),
    "torch-export": Format("torch_export", ".pt2", "torch", _EXTRA.format("export")),
    "torch-tensorrt": Format("torch_tensorrt_export", ".pt2", "torch_tensorrt", _EXTRA.format("torch-tensorrt")),
    "tensorrt": Format(
        "tensorrt_export", ".engine", "tensorrt", _EXTRA.format("tensorrt") + ", on a Jetson JetPack's own"
    ),
    "tensorrt-rtx": Format("tensorrt_rtx_export", ".engine", "tensorrt_rtx_bindings", _EXTRA.format("tensorrt-rtx")),
}


def export_model(student: Student, out: Path, config: ExportConfig, model_id: str) -> ModelMetadata:
    """Writes a student in `config.format`; the file is there whole, checked by loading it, or not at all.

    Args:
        student: Its weights are copied; it stays as it is.
        out: The file to write; its suffix is the format's.
        config: Format, precision, sizes.
        model_id: `name@first 8 hex digits of the weights' sha256`.

    Returns:
        What the file, or the JSON beside it, says about itself.

    Raises:
        BackendError: A library or GPU that the format needs is not there.
        ConfigError: Another suffix, or more slots than the preset has proposals.
        InputError: `out` cannot be written.
        ModelError: What was written fails a check.
    """
    wanted = FORMATS[config.format]
    if out.suffix != wanted.suffix:
        raise ConfigError(f"--out {out}: expected a name that ends in {wanted.suffix} for --format {config.format}")
    try:
        import_library(wanted.library)
    except (ImportError, OSError, RuntimeError, AssertionError) as error:  # the latter where there is no GPU
        reason = " ".join(str(error).split())[:200]
        raise BackendError(
            f"--format {config.format} needs {wanted.library}, which cannot be imported ({reason}): {wanted.install}"
        ) from None
    module = importlib.import_module(f"orpose_models.export.{wanted.module}")
    with staged(out) as path:
        metadata: ModelMetadata = module.write(student, path, config, model_id)
    return metadata
