"""Graphs to measure of presets that have no trained weights: random ones take as long."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from orpose_models.errors import BackendError
from orpose_models.export.config import PrecisionName
from orpose_models.files import sources_sha256
from orpose_models.runtime.config import Size


def cache_folder() -> Path:
    """Where exported graphs are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orpose" / "bench"


def random_model(
    preset: str, suffix: str, size: Size, batch: int = 1, precision: PrecisionName = "fp32", *, buckets: bool = False
) -> Path:
    """The file of a preset with random weights, made on first use: `.safetensors`, or an ONNX graph.

    Args:
        preset: Its name.
        suffix: `.onnx` or `.safetensors`.
        size: Width and height of the network's input, px (of a graph).
        batch: Images per call (of a graph).
        precision: fp32 or fp16 (of a graph).
        buckets: A graph of people and one of poses.

    Raises:
        BackendError: What exports is not installed.
        ConfigError: No such preset.
    """
    try:
        import torch

        from orpose_models.export.config import ExportConfig
        from orpose_models.export.formats import export_model
        from orpose_models.network import build_student, get_preset
        from orpose_models.network.weights import load_student, save_weights
    except ImportError as error:
        raise BackendError(f"--presets exports them ({error}): pip install 'orpose[export]'") from None
    known = get_preset(preset).name
    folder = _own_folder()
    weights = folder / f"{known}.safetensors"
    if not weights.is_file():
        torch.manual_seed(0)
        save_weights(build_student(known), weights)
    if suffix == ".safetensors":
        return weights
    kind = "buckets" if buckets else f"batch{batch}" + ("" if precision == "fp32" else f"_{precision}")
    path = folder / f"{known}_{size[0]}x{size[1]}_{kind}.onnx"
    if not path.is_file():
        storage = {"weights": "float32"} if precision == "fp32" else {}
        config = ExportConfig(size=size, batch=batch, buckets=buckets, precision=precision, **storage)
        export_model(load_student(weights), path, config, f"{known}@random")
    return path


def _own_folder() -> Path:
    """Of the code that makes graphs: an older one's are not measured, and are removed."""
    folder = cache_folder() / sources_sha256("network", "export")[:12]
    if not folder.is_dir():
        for old in cache_folder().glob("[0-9a-f]" * 12):
            shutil.rmtree(old, ignore_errors=True)
    return folder
