"""Graphs are read back: the student's answers, in training mode too, are those of the one that was exported."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from orpose_models.errors import ModelError
from orpose_models.export.config import ExportConfig, WeightStorage
from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.metadata import ORIGIN_KEY, ModelMetadata
from orpose_models.export.onnx_export import write
from orpose_models.export.origin import layers_of_graphs, origin_properties, static_layers
from orpose_models.export.read_back import read_student
from orpose_models.network import Student, build_student
from orpose_models.network.conventions import Conventions
from orpose_models.network.presets import Preset, get_preset
from orpose_models.network.static_student import StaticStudent
from orpose_models.runtime.models import OUTPUT_NAMES

SIZE = (256, 192)
#: Lifters of two inputs, one and two branches, with and without BatchNorm in the heads, four and five levels.
PRESETS = [
    get_preset("lite").with_lifter_input("confidence"),
    get_preset("lite_small_single"),
    get_preset("lite_12x"),
    get_preset("r50").model_copy(update={"fpn_channels": 32, "box_head_width": 32, "keypoint_head_width": 16}),
]


@torch.no_grad()
def make_own(student: Student) -> Student:
    """Gives BatchNorms, lifter statistics and score calibration numbers that no default has. In float32."""
    torch.manual_seed(3)
    for module in student.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            size = module.running_mean.shape
            module.weight.mul_(torch.empty(size).uniform_(0.5, 1.5)).mul_(torch.where(torch.rand(size) < 0.1, -1, 1))
            module.bias.add_(torch.randn(size) * 0.1)
            module.running_mean.add_(torch.randn(size) * 0.1)
            module.running_var.mul_(torch.empty(size).uniform_(0.5, 1.5))
    student.set_score_calibration(torch.linspace(0, 1, 17) ** 2, torch.linspace(0.1, 0.9, 17))
    student.set_lifter_statistics(*(torch.rand(16, n) * 100 + 50 for n in (2, 2, 3, 3)))
    return student.float().eval()


@pytest.fixture(scope="module")
def student(lively_lite: Student) -> Student:
    return make_own(copy.deepcopy(lively_lite))


def write_layers(student: Student, path: Path, storage: WeightStorage = "float32", **metadata: str) -> Path:
    """What an exported file holds of a student, without the nodes that compute with it."""
    static = StaticStudent(student, (64, 64))
    constants = [numpy_helper.from_array(value.numpy(), name) for name, value in static_layers(static).items()]
    model = helper.make_model(helper.make_graph([], "layers", [], [], constants))
    properties = origin_properties(student, static, [model])
    if storage == "float16":
        store_weights_as_float16(model)
    facts = {"preset": student.preset.name, "model_id": "a@12345678", "input_size": "64x64", "network_size": "64x64"}
    facts |= {"precision": f"float32 / {storage} weights", **metadata}
    described = ModelMetadata.model_validate({**facts, "batch": 1, "max_persons": 8})
    helper.set_model_props(model, {**described.as_properties(), **properties})
    onnx.save(model, str(path))
    return path


def largest_differences(a: Student, b: Student) -> dict[str, float]:
    """Of each tensor, as a share of its largest number, or of 1."""
    others = b.state_dict()
    tensors = {name: value for name, value in a.state_dict().items() if value.is_floating_point()}
    return {k: float((v - others[k]).abs().max() / v.abs().max().clamp(min=1)) for k, v in tensors.items()}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_student_comes_back(preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orpose_models.export.read_back.get_preset", lambda _: preset)  # the small r50
    torch.manual_seed(0)
    student = make_own(build_student(preset))
    again, info = read_student(write_layers(student, tmp_path / "a.onnx"))
    assert info.preset == preset.name and again.preset == preset and not again.training
    assert max(largest_differences(student, again).values()) < 2e-6


def test_a_network_from_elsewhere_without_lifters(tmp_path: Path) -> None:
    conventions = Conventions(aligned_rois=False, divided_strides=True, has_lifters=False)
    student = make_own(build_student(get_preset("lite_single").with_conventions(conventions)))
    path = write_layers(student, tmp_path / "a.onnx")
    (first, _), (second, _) = read_student(path), read_student(path)
    assert first.preset.conventions == conventions
    differences = largest_differences(student, first)
    assert all(value < 2e-6 for name, value in differences.items() if "lifter_hard" not in name)
    assert first.heads.lifter_hard.w1.weight.std() > 0.1, "lifters that were not trained are new, to be trained"
    assert max(largest_differences(first, second).values()) == 0


def test_float16_weights_come_back_as_the_graph_has_them(student: Student, tmp_path: Path) -> None:
    again, _ = read_student(write_layers(student, tmp_path / "a.onnx", "float16"))
    layers = static_layers(StaticStudent(again, (64, 64)))
    for name, value in static_layers(StaticStudent(student, (64, 64))).items():
        stored = value.half().float() if value.numel() > 4096 else value
        assert (layers[name] - stored).abs().max() <= 1e-6 * value.abs().max(), name
    weights = {name for name, value in student.named_parameters() if value.dim() > 1}
    differences = largest_differences(student, again)
    assert max(differences.values()) < 2**-11
    assert max(value for name, value in differences.items() if name not in weights) < 2e-6


def losses(student: Student) -> dict[str, Tensor]:
    torch.manual_seed(5)
    people = {
        "boxes": torch.tensor([[20.0, 10, 80, 150], [120, 30, 200, 180]]),
        "keypoints_soft": torch.rand(2, 17, 3) * 100 + 50,
        "keypoints_hard": torch.rand(2, 17, 3) * 100 + 50,
        "keypoints_3d_soft": torch.rand(2, 17, 4) * 300,
    }
    with torch.no_grad():
        return copy.deepcopy(student).train()([torch.rand(3, 192, 256)] * 2, [people] * 2)  # type: ignore[return-value]


@pytest.mark.parametrize(("storage", "share"), [("float32", 1e-3), ("float16", 0.02)])
def test_training_goes_on_from_where_it_was(student: Student, tmp_path: Path, storage, share: float) -> None:
    again, _ = read_student(write_layers(student, tmp_path / "a.onnx", storage))
    before, after = losses(student), losses(again)
    for name, value in before.items():
        assert abs(after[name] - value) < share * value, f"{name}: {value} became {after[name]}"


def test_a_channel_that_its_batch_norm_switched_off(student: Student, tmp_path: Path) -> None:
    student = copy.deepcopy(student)
    layer = student.pyramid.lateral[0]
    layer[1].weight.data[3] = 0.0  # type: ignore[index]
    again, _ = read_student(write_layers(student, tmp_path / "a.onnx"))
    assert not again.pyramid.lateral[0][0].weight[3].any(), "nothing is left of its weights"  # type: ignore[index]
    with torch.no_grad():
        features = [each.pyramid(torch.randn(1, 3, 96, 128, generator=seed())) for each in (student, again)]
    for a, b in zip(*features, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * float(a.abs().max()))


def seed() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# --- really exported ---------------------------------------------------------------------------------------------


@pytest.fixture
def exported(lite_onnx: Path) -> Path:
    """With float32 weights; the shipped models, which store float16, are read back in test_shipped_weights.py."""
    return lite_onnx


def test_an_exported_file_and_its_student_answer_alike(
    exported: Path, make_bgr_images: Callable[[int, tuple[int, int]], Tensor]
) -> None:
    torch.manual_seed(0)
    image = make_bgr_images(1, SIZE)
    expected = answer(exported, image)
    with torch.no_grad():
        got = StaticStudent(read_student(exported)[0], SIZE)(image)._asdict()
    assert expected["valid"].sum() >= 2
    for name, atol in zip(OUTPUT_NAMES, (0.02, 1e-3, 0, 0.02, 0.2, 0), strict=True):
        np.testing.assert_allclose(got[name].numpy(), expected[name], atol=atol)


def test_another_export_has_the_same_weights(exported: Path) -> None:
    held = layers_of_graphs([onnx.load(str(exported))])
    layers = static_layers(StaticStudent(read_student(exported)[0], SIZE))
    assert len(held.keys() & layers.keys()) > 100, "some biases are alike, and one constant"
    for name, value in layers.items():
        if name not in held:
            assert value.dim() == 1, name
        else:
            torch.testing.assert_close(value, held[name], rtol=1e-6, atol=1e-5)


def answer(path: Path, image: Tensor) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUT_NAMES, session.run(None, {"image": image.numpy()}), strict=True))


def test_what_is_kept_is_small(exported: Path) -> None:
    properties = {entry.key: entry.value for entry in onnx.load(str(exported)).metadata_props}
    assert set(json.loads(properties[ORIGIN_KEY])) == {"lifter_input", "conventions", "packed"}
    assert len(properties[ORIGIN_KEY]) < 300_000


def test_two_graphs_of_weights_that_are_alike(tmp_path: Path) -> None:
    """Zero biases of one shape may be one constant in the graph, under one of their names."""
    student = build_student("lite").eval()
    config = ExportConfig(size=(128, 96), buckets=True, weights="float32")
    write(student, tmp_path / "lite.onnx", config, "lite@12345678")
    again, _ = read_student(tmp_path / "lite.onnx")
    assert max(largest_differences(student, again).values()) < 2e-6
    with pytest.raises(ModelError, match=r"give NAME\.onnx, not NAME\.poses\.onnx"):
        read_student(tmp_path / "lite.poses.onnx")
    (tmp_path / "lite.poses.onnx").unlink()
    with pytest.raises(ModelError, match=r"its second graph lite\.poses\.onnx is not beside it"):
        read_student(tmp_path / "lite.onnx")


# --- refused -----------------------------------------------------------------------------------------------------


def changed(student: Student, path: Path, kind: str) -> Path:
    """A file with one thing wrong."""
    precision = {"int8": "int8, signed activations / int8", "fp16": "float16, boxes in float32"}
    model = onnx.load(str(write_layers(student, path, **({"precision": precision[kind]} if kind in precision else {}))))
    origin = next(entry for entry in model.metadata_props if entry.key == ORIGIN_KEY)
    first = model.graph.initializer[0]
    match kind:
        case "old":
            model.metadata_props.remove(origin)
        case "no json":
            origin.value = "{"
        case "newer":
            origin.value = origin.value.replace('"packed"', '"bundled"')
        case "damaged":
            origin.value = origin.value[:2000] + origin.value[2100:]
        case "other preset":
            next(entry for entry in model.metadata_props if entry.key == "orpose.preset").value = "lite_small"
        case "layer missing":
            del model.graph.initializer[0]
        case "not folded so":
            widened = next(t for t in model.graph.initializer if t.name.endswith("stages.1.0.block.0.0.weight"))
            values = numpy_helper.to_array(widened).copy()
            values[-1] = 1.0  # a channel of a block that is filled up
            widened.CopyFrom(numpy_helper.from_array(values, widened.name))
        case "not finite":
            values = numpy_helper.to_array(first) * np.float32("nan")
            first.CopyFrom(numpy_helper.from_array(values, first.name))
    onnx.save(model, str(path))
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:100_000])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("int8", "computes in int8, signed .*: give the one that was exported with --precision fp32"),
        ("fp16", "computes in float16, boxes in float32; weights can be read back from an fp32 graph alone"),
        ("old", r"exported before graphs could be read back, .*; export its \.safetensors file again"),
        ("no json", r"orpose\.student: .*; a newer orpose may read it"),
        ("newer", r"orpose\.student: packed: .*; a newer orpose may read it"),
        ("damaged", "its tensors are damaged"),
        ("other preset", r"tensors are missing or of another shape \("),
        ("layer missing", r"1 tensors are missing or of another shape \(student\.pyramid\.trunk"),
        ("not folded so", "block.0.0.weight is not one that `orpose export` makes"),
        ("not finite", "is not one that `orpose export` makes"),
        ("truncated", "not a whole ONNX file"),
    ],
)
def test_what_cannot_be_read_back_is_refused_in_one_line(
    student: Student, tmp_path: Path, kind: str, message: str
) -> None:
    path = changed(student, tmp_path / "a.onnx", kind)
    with pytest.raises(ModelError, match=message) as caught:
        read_student(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
