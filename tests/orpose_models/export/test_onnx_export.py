"""The exported graph: its form, its metadata, and the same numbers in ONNX Runtime and OpenVINO as in torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from orpose_models.errors import ConfigError, ModelError
from orpose_models.export.checks import FORBIDDEN, check_graph, run_once
from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.metadata import ORIGIN_KEY
from orpose_models.export.onnx_export import export_onnx
from orpose_models.export.onnx_graph import OPSET
from orpose_models.network import Student
from orpose_models.network.lifter import Lifter, LifterStatistics
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.models import OUTPUT_NAMES

SIZE = (256, 192)
Outputs = dict[str, np.ndarray]


@pytest.fixture
def exported(lite_onnx: Path) -> Path:
    return lite_onnx


@pytest.fixture(scope="session")
def image(make_bgr_images: Callable[[int, tuple[int, int]], torch.Tensor]) -> np.ndarray:
    torch.manual_seed(0)
    return make_bgr_images(1, SIZE).numpy()


@pytest.fixture(scope="session")
def expected(calibrated_lite: Student, image: np.ndarray) -> Outputs:
    """torch's answer in float32."""
    with torch.no_grad():
        poses = StaticStudent(calibrated_lite, SIZE).float()(torch.from_numpy(image))
    return {name: value.numpy() for name, value in poses._asdict().items()}


def run_onnxruntime(path: Path, image: np.ndarray) -> Outputs:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUT_NAMES, session.run(None, {"image": image}), strict=True))


def assert_same(got: Outputs, expected: Outputs, pixels: float, millimetres: float) -> None:
    """Largest differences; torch must have found people, or nothing would be compared."""
    assert expected["valid"].sum() >= 2
    np.testing.assert_array_equal(got["valid"], expected["valid"])
    np.testing.assert_array_equal(got["nms_converged"], expected["nms_converged"])
    np.testing.assert_allclose(got["scores"], expected["scores"], atol=1e-3)
    np.testing.assert_allclose(got["boxes"], expected["boxes"], atol=pixels)
    np.testing.assert_allclose(got["keypoints"], expected["keypoints"], atol=pixels)
    np.testing.assert_allclose(got["keypoints_3d"], expected["keypoints_3d"], atol=millimetres)


def test_onnxruntime_equals_torch(exported: Path, image: np.ndarray, expected: Outputs) -> None:
    assert_same(run_onnxruntime(exported, image), expected, pixels=0.02, millimetres=0.2)


def test_openvino_equals_torch(exported: Path, image: np.ndarray, expected: Outputs) -> None:
    pytest.importorskip("openvino")
    from orpose_models.runtime.backend_openvino import CORE

    model = CORE.compile_model(str(exported), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    values = model([image])
    got = {name: values[name] for name in OUTPUT_NAMES}
    assert_same(got, expected, pixels=0.02, millimetres=0.2)


def test_lifters_that_read_confidences_equal_torch(tmp_path: Path) -> None:
    """The lifter alone: the rest of the graph is the same."""

    class Lift(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.statistics, self.lifter = LifterStatistics("confidence"), Lifter(32, "confidence")

        def forward(self, joints: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
            return self.statistics.restore_3d(self.lifter(self.statistics.entering(joints, confidence)))

    torch.manual_seed(0)
    lift = Lift().eval()
    joints, confidence = torch.rand(4, 16, 2) * 480, torch.rand(4, 16)
    confidence[0] = 0  # an empty slot
    confidence[1, :5] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(lift, (joints, confidence), tmp_path / "lift.onnx", dynamo=True, opset_version=OPSET,
                          input_names=["joints", "confidence"], verbose=False)  # fmt: skip
    session = onnxruntime.InferenceSession(str(tmp_path / "lift.onnx"), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"joints": joints.numpy(), "confidence": confidence.numpy()})
    with torch.no_grad():
        expected = lift(joints, confidence).numpy()
    np.testing.assert_allclose(got, expected, atol=0.05)
    assert np.isfinite(got).all() and np.ptp(got) > 10


def test_outputs_are_those_of_the_contract(exported: Path) -> None:
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.shape, given.type) == ("image", [1, SIZE[1], SIZE[0], 3], "tensor(uint8)")
    facts = {output.name: (output.shape, output.type) for output in session.get_outputs()}
    assert facts == {
        "boxes": ([1, 8, 4], "tensor(float)"),
        "scores": ([1, 8], "tensor(float)"),
        "valid": ([1, 8], "tensor(int32)"),
        "keypoints": ([1, 8, 17, 3], "tensor(float)"),
        "keypoints_3d": ([1, 8, 17, 4], "tensor(float)"),
        "nms_converged": ([1], "tensor(int32)"),
    }


def test_metadata(exported: Path) -> None:
    properties = {entry.key: entry.value for entry in onnx.load(str(exported)).metadata_props}
    assert properties.pop(ORIGIN_KEY)  # test_read_back.py
    assert properties == {
        "orpose.format": "1",
        "orpose.preset": "lite",
        "orpose.model_id": "lite@12345678",
        "orpose.input_size": "256x192",
        "orpose.network_size": "256x192",
        "orpose.batch": "1",
        "orpose.max_persons": "8",
        "orpose.precision": "float32 / float32 weights",
    }


def test_the_graph_is_static_and_tells_nothing_of_the_machine(exported: Path) -> None:
    model = onnx.load(str(exported))
    check_graph(model)
    assert model.opset_import[0].version == OPSET
    assert not {node.op_type for node in model.graph.node} & (FORBIDDEN | {"BatchNormalization", "Dropout"})
    assert b"orpose_models/" not in exported.read_bytes()
    assert b"site-packages" not in exported.read_bytes()


def test_float16_storage_halves_the_file_and_moves_joints_little(
    exported: Path, image: np.ndarray, expected: Outputs, tmp_path: Path
) -> None:
    model = onnx.load(str(exported))
    assert store_weights_as_float16(model) > 50
    check_graph(model)
    small = tmp_path / "small.onnx"
    onnx.save(model, str(small))
    assert small.stat().st_size < 0.53 * exported.stat().st_size
    assert small.stat().st_size < 15e6
    got = run_onnxruntime(small, image)
    # The outputs of random weights are far more sensitive than a trained network's: the best person only.
    np.testing.assert_allclose(got["scores"][0, 0], expected["scores"][0, 0], atol=0.02)


def test_weights_beyond_float16_stay_exact() -> None:
    model = tiny_model(np.full((80, 80), 1e6, np.float32))
    assert store_weights_as_float16(model) == 0
    assert model.graph.initializer[0].data_type == TensorProto.FLOAT


def tiny_model(weights: np.ndarray, operator: str = "MatMul") -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    size = len(weights)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "w"], ["y"])],
        "tiny",
        [value("x", TensorProto.FLOAT, [1, size])],
        [value("y", TensorProto.FLOAT, [1, size])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def test_checks_name_what_is_wrong() -> None:
    with pytest.raises(ModelError, match=r"outputs are \('y',\), expected"):
        check_graph(tiny_model(np.eye(4, dtype=np.float32)))
    with pytest.raises(ModelError, match="not valid ONNX"):
        check_graph(tiny_model(np.eye(4, dtype=np.float32), operator="NoSuchOperator"))


def test_a_shape_that_is_not_fixed_is_refused(exported: Path) -> None:
    model = onnx.load(str(exported))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(ModelError, match=r"has no fixed shape|not valid ONNX"):
        check_graph(model)


def test_run_once_refuses_what_does_not_load(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(ModelError, match="ONNX Runtime cannot run"):
        run_once(broken)


@pytest.mark.parametrize(
    ("size", "batch", "message"),
    [((32, 480), 1, "size: .* expected sides of 64 px or more"), ((640, 480), 0, "batch: got 0: .* greater than")],
)
def test_impossible_sizes_are_refused(
    lively_lite: Student, tmp_path: Path, size: tuple[int, int], batch: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_onnx(lively_lite, tmp_path / "a.onnx", size, batch)
    assert not list(tmp_path.iterdir())
