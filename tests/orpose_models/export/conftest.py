"""Files that several tests read, each exported once; one thread."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from orpose_models.export.config import ExportConfig
from orpose_models.export.formats import export_model
from orpose_models.export.onnx_export import export_onnx

if TYPE_CHECKING:
    from orpose_models.network import Student

#: Input of the shared files, px.
SIZE = (256, 192)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Same numbers in every run, whatever ran before. The tensors are small, and two threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def calibrated_lite(lively_lite: Student) -> Student:
    """`lively_lite` with scores that are calibrated."""
    student = copy.deepcopy(lively_lite)
    student.set_score_calibration(torch.linspace(0, 1, 17) ** 2, torch.linspace(0.1, 0.9, 17))
    return student


@pytest.fixture(scope="session")
def lite_onnx(calibrated_lite: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`calibrated_lite` as a graph with float32 weights; not to be changed."""
    path = tmp_path_factory.mktemp("onnx") / "lite.onnx"
    export_onnx(calibrated_lite, path, SIZE, model_id="lite@12345678", weights="float32")
    return path


@pytest.fixture(scope="session")
def lite_program(lively_lite: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lively_lite` as a program of torch.export in float32; not to be changed."""
    path = tmp_path_factory.mktemp("program") / "lite.pt2"
    export_model(lively_lite, path, ExportConfig(format="torch-export", size=SIZE), "lite@12345678")
    return path
