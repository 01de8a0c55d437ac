"""Every format that can be written without a GPU: loaded again, it answers as torch does; and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from orpose_models.errors import BackendError, ConfigError, InputError
from orpose_models.export import torch_export
from orpose_models.export.config import ExportConfig
from orpose_models.export.formats import FORMATS, export_model
from orpose_models.network import Student
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.backends import load_backend
from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.models import OUTPUT_NAMES, ModelInfo

SIZE = (256, 192)
ID = "lite@12345678"
Outputs = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def image(make_bgr_images: Callable[[int, tuple[int, int]], torch.Tensor]) -> np.ndarray:
    torch.manual_seed(0)
    return make_bgr_images(1, SIZE).numpy()


@pytest.fixture(scope="module")
def expected(lively_lite: Student, image: np.ndarray) -> Outputs:
    """torch's answer in float32."""
    with torch.no_grad():
        poses = StaticStudent(lively_lite, SIZE).float()(torch.from_numpy(image))
    assert poses.valid.sum() >= 2
    return {name: value.numpy() for name, value in poses._asdict().items()}


@pytest.fixture(scope="module")
def float16_file(lively_lite: Student, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("float16") / "lite.onnx"
    metadata = export_model(lively_lite, path, ExportConfig(size=SIZE, precision="fp16"), ID)
    assert metadata.precision == "float16, boxes in float32"
    return path


def assert_close(got: Outputs, expected: Outputs, boxes: float, joints: float, scores: float) -> None:
    """Largest difference of boxes (px) and scores, median difference of joints (px).

    Untrained heatmaps are nearly flat: a rounding moves some of their highest cells across the whole box.
    """
    people = int(expected["valid"].sum())
    assert int(got["valid"].sum()) == people
    # People of nearly the same score may change places: each goes with the nearest box.
    apart = np.abs(got["boxes"][0, :people, None] - expected["boxes"][0, None, :people]).max(axis=-1)
    same = apart.argmin(axis=0)
    assert sorted(same) == list(range(people))
    assert apart.min(axis=0).max() <= boxes
    np.testing.assert_allclose(got["scores"], expected["scores"], atol=scores)
    moved = np.abs(got["keypoints"][0, same] - expected["keypoints"][0, :people])[..., :2]
    print(f"boxes {apart.min(axis=0).max():.2g} px, joints {np.median(moved):.2g} px (median)")
    assert np.median(moved) < joints


def run_onnxruntime(path: Path, image: np.ndarray) -> Outputs:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUT_NAMES, session.run(None, {"image": image}), strict=True))


def run_openvino(path: Path, image: np.ndarray) -> Outputs:
    pytest.importorskip("openvino")
    from orpose_models.runtime.backend_openvino import CORE

    model = CORE.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    values = model([image])
    return {name: np.asarray(values[name]) for name in OUTPUT_NAMES}


def run_runtime(path: Path, backend: str, image: np.ndarray) -> Outputs:
    return load_backend(RuntimeConfig.model_validate({"model": str(path), "backend": backend, "threads": 1})).infer(
        image
    )


# --- fp16 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [run_onnxruntime, run_openvino])
def test_float16_agrees_with_float32(float16_file: Path, image: np.ndarray, expected: Outputs, run: Callable) -> None:
    assert_close(run(float16_file, image), expected, boxes=1.0, joints=0.5, scores=5e-3)


def test_float16_is_in_the_heavy_layers_and_nowhere_else(float16_file: Path) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(str(float16_file)), data_prop=True)
    graph = model.graph
    values = (*graph.value_info, *graph.input, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT

    def types_of(operators: set[str]) -> list[int]:
        return [types[node.output[0]] for node in graph.node if node.op_type in operators]

    convolutions = types_of({"Conv"})
    assert convolutions.count(half) > 60
    assert convolutions.count(single) == 4, "one layer a pyramid level that gives objectness and box deltas"
    assert types_of({"Gemm"}).count(half) >= 2, "fc6 and fc7"
    ranked = [types[node.input[0]] for node in graph.node if node.op_type == "TopK"]
    assert ranked, "candidates, proposals, people"
    assert set(ranked) == {single}
    for operators in ({"Exp"}, {"Floor"}, {"ArgMax"}):
        inputs = [types[node.input[0]] for node in graph.node if node.op_type in operators]
        assert set(inputs) <= {single}, operators
    assert {types[output.name] for output in graph.output} == {single, onnx.TensorProto.INT32}


def test_weights_beyond_float16_are_refused(lively_lite: Student, tmp_path: Path) -> None:
    import copy

    student = copy.deepcopy(lively_lite).float()
    with torch.no_grad():
        student.heads.box.fc7[0].weight[0, 0] = 1e6  # type: ignore[index]
    with pytest.raises(ConfigError, match=r"fc7.* beyond its range; use fp32"):
        export_model(student, tmp_path / "a.onnx", ExportConfig(size=SIZE, precision="fp16"), ID)
    assert not list(tmp_path.iterdir())


# --- the other formats ---------------------------------------------------------------------------------------------


def test_openvino_files_agree_with_torch_and_are_known_to_the_runtime(
    lively_lite: Student, image: np.ndarray, expected: Outputs, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    from orpose_models.runtime.backend_openvino import CORE

    path = tmp_path / "lite.xml"
    config = ExportConfig(format="openvino", size=SIZE, weights="float32")
    metadata = export_model(lively_lite, path, config, ID)
    assert {file.name for file in tmp_path.iterdir()} == {"lite.xml", "lite.bin"}
    assert_close(run_openvino(path, image), expected, boxes=0.02, joints=0.02, scores=1e-3)
    facts = CORE.read_model(str(path)).get_rt_info()["framework"]
    info = ModelInfo.from_metadata({key: str(value.value) for key, value in facts.items()}, path)
    assert (info.model_id, info.input_size, info.precision) == (ID, SIZE, metadata.precision)
    assert facts["orpose.bin_sha256"].value == hashlib.sha256(path.with_suffix(".bin").read_bytes()).hexdigest()
    assert_close(run_runtime(path, "openvino", image), expected, boxes=0.02, joints=0.02, scores=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_torch_export_is_loaded_without_this_package(
    lively_lite: Student, lite_program: Path, image: np.ndarray, expected: Outputs, tmp_path: Path, precision: str
) -> None:
    path = lite_program
    if precision == "fp16":
        path = tmp_path / "lite.pt2"
        export_model(lively_lite, path, ExportConfig(format="torch-export", size=SIZE, precision=precision), ID)
    with torch.no_grad():
        answer = torch.export.load(str(path)).module()(torch.from_numpy(image))
    got = {name: value.numpy() for name, value in zip(OUTPUT_NAMES, answer, strict=True)}
    loose = precision == "fp16"
    assert_close(got, expected, boxes=1.0 if loose else 1e-3, joints=0.5 if loose else 1e-3, scores=5e-3)
    description = json.loads(Path(f"{path}.json").read_text())
    stated = "float16, boxes in float32" if loose else "float32 / float32 weights"
    assert ModelInfo.from_metadata(description, path).precision == stated
    assert_close(run_runtime(path, "torch", image), got, boxes=0, joints=1e-6, scores=0)
    assert description["orpose.sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


# --- frames letterboxed inside ---------------------------------------------------------------------------------------


def test_the_runtime_takes_a_model_that_letterboxes_inside(
    calibrated_lite: Student,
    lite_onnx: Path,
    make_bgr_images: Callable[[int, tuple[int, int]], torch.Tensor],
    tmp_path: Path,
) -> None:
    from orpose_models.runtime import PoseEstimator, RuntimeConfig

    # Blocks of 2 x 2 equal pixels: their means are whole numbers, so that rounding (OpenCV's) makes no difference.
    frame = make_bgr_images(1, (256, 144))[0].numpy().repeat(2, axis=0).repeat(2, axis=1)
    config = ExportConfig(size=SIZE, frame_size=(512, 288), weights="float32")
    assert export_model(calibrated_lite, tmp_path / "inside.onnx", config, ID).network_size == "256x192"
    results = {}
    for name, path in (("inside", tmp_path / "inside.onnx"), ("outside", lite_onnx)):
        results[name] = PoseEstimator(RuntimeConfig(model=str(path), threads=1)).estimate(frame)
    inside, outside = (results[name].candidates for name in ("inside", "outside"))
    assert len(inside) == len(outside) >= 2
    assert results["inside"].image_size == (512, 288)
    for ours, theirs in zip(inside, outside, strict=True):
        np.testing.assert_allclose(ours.bbox_xywh, theirs.bbox_xywh, atol=0.02)
        np.testing.assert_allclose(ours.score, theirs.score, atol=1e-4)
        assert np.median(np.abs(ours.keypoints - theirs.keypoints)) < 0.02


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "library"), [("tensorrt", "tensorrt"), ("torch-tensorrt", "torch_tensorrt")])
def test_a_missing_library_is_named_with_its_install(
    lively_lite: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)  # imports as if it were not installed
    with pytest.raises(BackendError, match=rf"--format {name} needs {library}, .*pip install 'orpose\[{name}\]'"):
        export_model(lively_lite, tmp_path / f"a{FORMATS[name].suffix}", ExportConfig(format=name), ID)
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused(lively_lite: Student, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.onnx: expected a name that ends in \.xml for --format openvino"):
        export_model(lively_lite, tmp_path / "a.onnx", ExportConfig(format="openvino"), ID)


def test_a_place_that_cannot_be_written_shows_before_the_work(lively_lite: Student, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.onnx").mkdir()
    for out in (tmp_path / "file" / "a.onnx", tmp_path / "folder.onnx"):
        with pytest.raises(InputError, match=r"cannot be written .*another --out"):
            export_model(lively_lite, out, ExportConfig(), ID)


def test_a_full_disk_is_named_by_torch_export_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` makes one line of this error; torch's own writer has a RuntimeError of many."""
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    monkeypatch.setattr(torch_export, "export_program", lambda static: program)
    for name in ("build_static", "describe"):
        monkeypatch.setattr(torch_export, name, lambda *given: None)
    with pytest.raises(OSError, match="No space left on device"):
        torch_export.write(Student.__new__(Student), Path("/dev/full"), ExportConfig(format="torch-export"), ID)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "tensorrt-rtx"}, "give --sm, such as --sm 86"),
        ({"format": "onnx", "sm": "86"}, "--sm is for --format tensorrt-rtx; got --format onnx"),
        ({"format": "torch-export", "precision": "int8"}, "int8 is for --format onnx, tensorrt"),
        ({"format": "tensorrt", "weights": "float16"}, "--weights is for fp32 in onnx and openvino"),
        ({"buckets": True, "frame_size": (640, 360)}, "--buckets is for .* without --frame-size"),
    ],
)
def test_options_that_do_not_fit_each_other(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExportConfig(**values)
