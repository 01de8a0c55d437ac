"""`orpose doctor`: says what works, what does not, and what to do."""

from __future__ import annotations

import sys
import types
from typing import get_args

import pytest

from orpose import doctor
from orpose.doctor import Check
from orpose.main import main
from orpose_models.errors import BackendError
from orpose_models.runtime.config import BackendName


def test_a_model_that_works(fake_model):
    check = doctor.check_backend("backend x", {"model": str(fake_model)}, is_needed=True)
    assert check.state == "ok"
    assert "fake@00000000, fp32" in check.text


@pytest.mark.parametrize(("is_needed", "state"), [(True, "BROKEN"), (False, "absent")])
def test_a_missing_model_is_only_broken_where_it_is_needed(is_needed, state):
    check = doctor.check_backend("backend x", {"model": "missing.onnx"}, is_needed)
    assert check.state == state
    assert "missing.onnx" in check.text


def test_a_missing_library_is_named_with_its_installation(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    check = doctor.check_backend("backend openvino", {"backend": "openvino"})
    assert check.state == "absent"
    assert "pip install" in check.text


def test_backends_that_build_engines_are_only_asked():
    assert doctor.check_engine_backend("x", lambda: "TensorRT 10.3, Orin").text.startswith("TensorRT 10.3, Orin")

    def no_gpu() -> str:
        raise BackendError("CUDA: no GPU")

    assert doctor.check_engine_backend("x", no_gpu) == Check("x", "absent", "CUDA: no GPU")


def test_a_missing_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    check = doctor.check_compiler()
    assert check.state == "absent"
    assert "install" in check.text


def test_the_engine_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert doctor.check_engine_cache() == Check("engine cache", "ok", f"{tmp_path}/orpose: 0 engines")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    assert "cannot be written" in doctor.check_engine_cache().text


def test_a_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags", None)
    check = doctor.check_package("rosbags", "rosbags")
    assert check.state == "BROKEN"
    assert "pip install rosbags" in check.text


def test_cv_bridge_and_numpy_2(monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: types.SimpleNamespace())
    monkeypatch.setattr(doctor, "_version", lambda name: "2.1.0")
    assert "numpy<2" in doctor.check_cv_bridge().text
    monkeypatch.setattr(doctor, "_version", lambda name: "1.26.4")
    assert doctor.check_cv_bridge().state == "ok"


def test_no_ros_is_no_problem(monkeypatch):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    (check,) = doctor.check_ros()
    assert check.state == "absent"


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("absent", 0), ("BROKEN", 1)])
def test_exit_code(monkeypatch, capsys, state, code):
    monkeypatch.setattr(doctor, "check_backends", lambda: [Check("backend x", state, "reason")])
    monkeypatch.setattr(doctor, "check_ros", list)
    assert main(["doctor"]) == code
    output = capsys.readouterr().out
    assert "backend x" in output and "reason" in output


def test_everything_is_listed(capsys):
    main(["doctor"])
    output = capsys.readouterr().out
    for name in ("Python", "numpy", "provider cuda", "mode compile", "GPU", "engine cache", "rclpy"):
        assert name in output
    for name in get_args(BackendName):
        assert f"backend {name}" in output
