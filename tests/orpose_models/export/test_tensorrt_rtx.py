"""Without a GPU: the ONNX graphs build as TensorRT-RTX engines, the saved program goes through Torch-TensorRT."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orpose_models.export.config import ExportConfig
from orpose_models.export.formats import export_model
from orpose_models.network import Student

#: A small input: the number of layers, which is what takes time and what may fail, is the same.
SIZE = (256, 192)
CONVERSION = Path(__file__).with_name("torch_tensorrt_conversion.py")
#: Where `make test` puts torch-tensorrt-rtx: outside the other packages, see the Makefile.
TORCH_TENSORRT = Path(sys.prefix) / "torch-tensorrt-rtx"


@pytest.fixture(scope="module")
def students(make_lively_student: Callable[[str], Student]) -> Callable[[str], Student]:
    made: dict[str, Student] = {}

    def get(preset: str) -> Student:
        if preset not in made:
            made[preset] = make_lively_student(preset).float()
        return made[preset]

    return get


#: Both presets and both precisions; what a precision changes, it changes in the layers that both presets have.
BUILT = pytest.mark.parametrize(("preset", "precision"), [("lite", "fp32"), ("r50", "fp16")])


@BUILT
def test_builds_for_sm86(students: Callable[[str], Student], tmp_path: Path, preset: str, precision: str) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="pip install 'orpose[tensorrt-rtx]'")
    path = tmp_path / "a.engine"
    config = ExportConfig(format="tensorrt-rtx", precision=precision, size=SIZE, sm="86")
    metadata = export_model(students(preset), path, config, f"{preset}@12345678")
    built = metadata.precision  # from the types of the network that was built
    assert built == "fp32" if precision == "fp32" else built.startswith("fp16 (") and "fp32 (" in built, built
    assert path.stat().st_size > (2 if precision == "fp32" else 1) * 1e6 * (100 if preset == "r50" else 10)
    description = json.loads((tmp_path / "a.engine.json").read_text())
    assert description["orpose.gpu"] == "sm86"
    assert description["orpose.precision"] == built


@BUILT
def test_goes_through_torch_tensorrt(
    request: pytest.FixtureRequest,
    students: Callable[[str], Student],
    tmp_path: Path,
    preset: str,
    precision: str,
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="pip install 'orpose[tensorrt-rtx]'")
    if not TORCH_TENSORRT.is_dir():
        pytest.skip(f"no {TORCH_TENSORRT}; make test puts torch-tensorrt-rtx there")
    path = tmp_path / "a.pt2"
    if (preset, precision) == ("lite", "fp32"):
        path = request.getfixturevalue("lite_program")
    else:
        config = ExportConfig(format="torch-export", precision=precision, size=SIZE)
        export_model(students(preset), path, config, f"{preset}@12345678")
    command = [sys.executable, str(CONVERSION), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(TORCH_TENSORRT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    assert found["missing"] == []
    assert found["layers"] > 500
    assert found["engine_bytes"] > 1e6
