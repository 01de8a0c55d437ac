"""The graph exports with torch 2.8, the last that Torch-TensorRT has for a Jetson Orin: in an environment of its own.

`make test-torch28` makes that environment and runs this file; else `ORPOSE_TORCH28_PYTHON` names its Python.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from orpose_models.network import Student, save_weights
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.models import OUTPUT_NAMES

ROOT = Path(__file__).resolve().parents[3]
PYTHON = os.environ.get("ORPOSE_TORCH28_PYTHON", "")
SIZE = (256, 192)
#: Preset -> px by which answers may differ. The deeper network's own float32 is 0.06 px off its float64, lite's 0.0001.
TOLERANCE_PX = {"lite": 0.02, "r50": 0.2}

pytestmark = pytest.mark.skipif(
    not PYTHON, reason="ORPOSE_TORCH28_PYTHON names no Python with torch 2.8; run make test-torch28"
)


def export_there(weights: Path, out: Path, *options: str) -> None:
    command = [PYTHON, "-m", "orpose", "export", "--model", str(weights), "--out", str(out), "--size", "256x192"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-3000:]


@pytest.fixture(scope="module", params=["lite", "r50"])
def student(request: pytest.FixtureRequest, make_lively_student: Callable[[str], Student]) -> Student:
    return make_lively_student(request.param)


@pytest.fixture(scope="module")
def weights(student: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import copy

    path = tmp_path_factory.mktemp("torch28") / f"{student.preset.name}.safetensors"
    save_weights(copy.deepcopy(student).float(), path)
    return path


def test_it_is_torch_28() -> None:
    command = [PYTHON, "-c", "import torch; print(torch.__version__)"]
    assert subprocess.run(command, capture_output=True, text=True).stdout.startswith("2.8.")


def test_the_program_exports(weights: Path, tmp_path: Path) -> None:
    export_there(weights, tmp_path / "program.pt2", "--format", "torch-export", "--precision", "fp16")


def test_the_onnx_graph_is_the_same(
    student: Student,
    weights: Path,
    make_bgr_images: Callable[[int, tuple[int, int]], torch.Tensor],
    tmp_path: Path,
) -> None:
    export_there(weights, tmp_path / "graph.onnx", "--weights", "float32")
    image = make_bgr_images(1, SIZE)
    with torch.no_grad():
        expected = StaticStudent(student, SIZE).float()(image)
    session = onnxruntime.InferenceSession(str(tmp_path / "graph.onnx"), providers=["CPUExecutionProvider"])
    got = dict(zip(OUTPUT_NAMES, session.run(None, {"image": image.numpy()}), strict=True))
    assert expected.valid.sum() >= 2
    np.testing.assert_array_equal(got["valid"], expected.valid.numpy())
    tolerance_px = TOLERANCE_PX[student.preset.name]
    np.testing.assert_allclose(got["boxes"], expected.boxes.numpy(), atol=tolerance_px)
    moved = np.abs(got["keypoints"] - expected.keypoints.numpy())
    assert moved[..., 2].max() < 0.02
    # Untrained heatmaps are nearly flat: a rounding may move one's highest cell.
    assert np.mean(moved[..., :2].max(axis=-1) > tolerance_px) < 0.01
