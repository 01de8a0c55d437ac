"""int8: which layers, the arithmetic by hand, and the shipped model quantised on the bundled clip by the command."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from orpose.main import main
from orpose_models.annotations import read_annotations, write_annotations
from orpose_models.errors import AnnotationError, BackendError, InputError, ModelError
from orpose_models.export import accuracy_gate
from orpose_models.export.accuracy_gate import Comparison, Row, ValidationSet, check_accepted, movement
from orpose_models.export.calibration import BINS, CalibrationImages, histogram, open_images, percentile_range
from orpose_models.export.checks import check_graph
from orpose_models.export.int8 import (
    activation_scale,
    insert_pairs,
    layers_to_quantise,
    quantised_weights,
    read_exact,
    tensors_to_quantise,
)
from orpose_models.export.int8_config import Int8Config
from orpose_models.export.int8_export import quantise
from orpose_models.network import Student
from orpose_models.runtime.bags import BagImages
from orpose_models.runtime.frames import Frame
from orpose_models.runtime.models import WEIGHTS_DIR

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
LITE = WEIGHTS_DIR / "lite.onnx"
#: Every so many of the clip's 120 frames is one of the test's images.
EVERY = 15


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 8 frames of the bundled clip and their `labels.json`."""
    folder = tmp_path_factory.mktemp("clip")
    labels = read_annotations(SAMPLES / "or_clip_annotations.json")
    by_stamp = {image.stamp_ns: image for image in labels.images}
    images = []
    for frame in BagImages(SAMPLES / "or_clip"):
        if isinstance(frame, Frame) and frame.index % EVERY == 0:
            name = f"{frame.index:03d}.png"
            cv2.imwrite(str(folder / name), frame.image)
            images.append(replace(by_stamp[frame.stamp_ns], file_name=name))
    ids = {image.image_id for image in images}
    persons = tuple(person for person in labels.persons if person.image_id in ids)
    write_annotations(folder / "labels.json", replace(labels, images=tuple(images), persons=persons))
    return folder


@pytest.fixture(scope="session")
def lite() -> onnx.ModelProto:
    """The shipped model, constants folded; not to be changed."""
    return read_exact(LITE)


@pytest.fixture(scope="session")
def export_int8(clip: Path) -> Callable[..., int]:
    """`orpose export --precision int8` of the shipped model with the test's images and given changes."""

    def export(out: Path, **changes: object) -> int:
        options = {
            "model": "lite",
            "precision": "int8",
            "calibration": clip,
            "calibration-images": 8,
            "validation": clip / "labels.json",
            "validation-downsample": 1,
            "max-drop": 0.5,  # 8 frames say little
            "out": out,
            **changes,
        }
        return main(["export", *(str(part) for name, value in options.items() for part in (f"--{name}", value))])

    return export


# ------------------------------------------------------------------------------------------------------ end to end


@pytest.fixture(scope="session")
def accepted(export_int8: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("int8") / "lite_int8.onnx"
    assert export_int8(path) == 0
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return path


def test_both_accuracies_are_in_the_file(accepted: Path) -> None:
    properties = {entry.key: entry.value for entry in onnx.load(str(accepted)).metadata_props}
    assert properties["orpose.precision"] == "int8, unsigned activations / int8 and float16 weights"
    assert properties["orpose.model_id"].startswith("lite@")
    facts = json.loads(properties["orpose.int8_accuracy"])
    assert (facts["labels"], facts["images"], facts["people"]) == ("labels.json", 8, 40)
    rows = {(row["backend"], row["metric"]): row for row in facts["rows"]}
    assert {("onnxruntime", "box AP"), ("onnxruntime", "keypoint AP")} <= set(rows)
    exact, int8 = (rows["onnxruntime", "box AP"][key] for key in ("exact", "int8"))
    assert exact > 0.3 and int8 > 0.9 * exact


def test_the_heavy_layers_really_run_in_8_bits(accepted: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(accepted), options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    assert operators.count("QLinearConv") == 58  # of 83; the others are listed in int8.py
    assert operators.count("QGemm") == 2
    assert accepted.stat().st_size < 0.82 * LITE.stat().st_size  # which stores float16; the lifters stay so


def test_a_graph_that_lost_its_accuracy_is_refused(
    export_int8: Callable[..., int],
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accuracy_gate, "BACKENDS", ("onnxruntime",))  # half the time
    black = tmp_path / "black"
    black.mkdir()
    for number in range(8):
        cv2.imwrite(str(black / f"{number}.png"), np.zeros((48, 64, 3), np.uint8))
    out = tmp_path / "out" / "lite.onnx"
    assert export_int8(out, **{"calibration": black, "max-drop": 0.05}) == 2
    printed = capsys.readouterr()
    assert "int8 is not accepted: " in printed.err and "more than --max-drop 5 %" in printed.err
    assert "keypoint AP" in printed.out  # both numbers are shown nevertheless
    assert list(out.parent.iterdir()) == []


def test_from_weights_an_untrained_network_is_refused(
    lively_lite: Student, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy_gate, "BACKENDS", ("onnxruntime",))
    from orpose_models.export.config import ExportConfig
    from orpose_models.export.formats import export_model

    config = ExportConfig(
        precision="int8",
        size=(128, 96),
        calibration=str(clip),
        calibration_images=8,
        validation=str(clip / "labels.json"),
        validation_downsample=(1.0,),
    )
    with pytest.raises(ModelError, match=r"labels\.json: the float graph's own .* too low to tell what int8 costs"):
        export_model(lively_lite, tmp_path / "lite.onnx", config, "lite@12345678")
    assert list(tmp_path.iterdir()) == []


def test_signed_graphs_have_zero_points_of_0_and_float_biases(lite: onnx.ModelProto) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(lite)
    layers = layers_to_quantise(model)
    insert_pairs(model, layers, dict.fromkeys(tensors_to_quantise(model, layers, "signed"), (-1.0, 3.0)), "signed")
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) > 120
    for node in pairs:
        assert values[node.input[2]].dtype == np.int8 and not values[node.input[2]].any()
    for layer in layers:
        assert values[layer.input[2]].dtype == np.float32


def test_signed_graphs_build_with_tensorrt_rtx(lite_onnx: Path, tmp_path: Path) -> None:
    trt = pytest.importorskip("tensorrt_rtx_bindings", reason="pip install 'orpose[tensorrt-rtx]'")
    from orpose_models.runtime.tensorrt_build import build_engine

    path = tmp_path / "lite.onnx"
    model = read_exact(lite_onnx)
    layers = layers_to_quantise(model)
    insert_pairs(model, layers, dict.fromkeys(tensors_to_quantise(model, layers, "signed"), (-1.0, 3.0)), "signed")
    check_graph(model)
    onnx.save(model, str(path))
    if tuple(int(part) for part in trt.__version__.split(".")[:2]) < (1, 7):  # reads it, has no 8-bit convolutions
        with pytest.raises(BackendError, match="cannot build an engine"):
            build_engine(trt, path, 86)
        return
    engine = build_engine(trt, path, 86)
    assert engine.precision.startswith("int8 (")
    assert len(engine.content) > 5e6


# ---------------------------------------------------------------------------------------------------------- layers


def test_layers_that_stay_in_float(lite: onnx.ModelProto) -> None:
    chosen = layers_to_quantise(lite)
    weights = [node.input[1] for node in chosen]
    assert len(chosen) == 61
    assert any("heads.box.fc6" in name for name in weights)
    assert len([name for name in weights if "heads.keypoint.scores" in name]) == 1
    kept = [".lifter_", ".block.2.scale.", "candidates.output"]
    assert not [name for name in weights if any(part in name for part in kept)]
    every = [name for node in lite.graph.node for name in node.input]
    assert all(any(part in name for name in every) for part in kept)
    assert "student.pyramid.trunk.stages.0.0.0.weight" not in weights


def test_outputs_are_rounded_after_the_relu_and_heatmaps_not_at_all(lite: onnx.ModelProto) -> None:
    layers = layers_to_quantise(lite)
    tensors = set(tensors_to_quantise(lite, layers, "unsigned"))
    relus = {node.input[0]: node.output[0] for node in lite.graph.node if node.op_type == "Relu"}
    (heatmaps,) = (node.output[0] for node in layers if "heads.keypoint.scores" in node.input[1])
    followed = [layer for layer in layers if layer.output[0] in relus]
    assert len(followed) > 15
    for layer in followed:
        assert relus[layer.output[0]] in tensors and layer.output[0] not in tensors
    assert heatmaps not in tensors
    assert set(tensors_to_quantise(lite, layers, "signed")) == {layer.input[0] for layer in layers} < tensors


def test_what_is_quantised_or_not_ours_is_refused(accepted: Path, fake_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lite_int8\.onnx: is quantised already; start from the float32 export"):
        read_exact(accepted)
    with pytest.raises(ModelError, match=r"no layer to quantise; was it written by `orpose export`\?"):
        layers_to_quantise(read_exact(fake_model))
    half = onnx.load(str(LITE))
    for node in half.graph.node:
        for name in node.input:
            if name + "_float16" in {tensor.name for tensor in half.graph.initializer} and node.op_type == "Conv":
                node.input[1] = name + "_float16"
    onnx.save(half, str(tmp_path / "half.onnx"))
    with pytest.raises(ModelError, match="computes in float16; int8 starts from a float32 export"):
        read_exact(tmp_path / "half.onnx")
    (tmp_path / "text.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="not an ONNX file"):
        read_exact(tmp_path / "text.onnx")


# ------------------------------------------------------------------------------------------------------ arithmetic


def test_weights_have_a_scale_a_channel() -> None:
    weights = np.array([[1.27, -0.635], [0.0, 0.0], [-2.54, 0.02]], np.float32)
    values, scales = quantised_weights(weights, axis=0)
    np.testing.assert_array_equal(values, [[127, -64], [0, 0], [-127, 1]])
    np.testing.assert_allclose(scales, [0.01, 1e-8, 0.02], rtol=1e-6)
    values, scales = quantised_weights(weights, axis=1)
    np.testing.assert_allclose(scales, [0.02, 0.005], rtol=1e-6)
    assert values[2].tolist() == [-127, 4]


@pytest.mark.parametrize(
    ("limits", "kind", "scale", "zero"),
    [
        ((0.0, 2.55), "unsigned", 0.01, 0),
        ((-0.55, 2.0), "unsigned", 0.01, 55),
        ((1.0, 2.55), "unsigned", 0.01, 0),  # widened to hold 0
        ((0.0, 0.0), "unsigned", 1e-8, 0),
        ((-2.54, 1.0), "signed", 0.02, 0),
    ],
)
def test_scales_of_activations(limits: tuple[float, float], kind: str, scale: float, zero: int) -> None:
    got_scale, got_zero = activation_scale(limits, kind)  # type: ignore[arg-type]
    assert float(got_scale) == pytest.approx(scale, rel=1e-5)
    assert int(got_zero) == zero
    assert got_zero.dtype == (np.uint8 if kind == "unsigned" else np.int8)


def test_the_percentile_leaves_outliers_out() -> None:
    values = np.concatenate([np.linspace(0, 1, 100_000), [1000.0, -1000.0]]).astype(np.float32)
    counts = np.histogram(values, BINS, (-1000.0, 1000.0))[0].astype(float)
    low, high = percentile_range(counts, (-1000.0, 1000.0))
    assert -2.0 < low <= 0.0 and 1.0 <= high < 3.0
    rectified = np.zeros(BINS)
    rectified[: BINS // 2] = 100.0
    assert percentile_range(rectified, (0.0, 8.0)) == pytest.approx((0.0, 4.0), abs=0.01)


def test_histograms_of_large_and_of_constant_tensors() -> None:
    counts = histogram(np.tile(np.array([0.0, 1.0, 1.0], np.float32), 1 << 18), (0.0, 1.0))
    assert counts[0] / counts.sum() == pytest.approx(1 / 3, abs=0.01)
    assert histogram(np.zeros((4, 4), np.float32), (0.0, 0.0)).sum() == 16


def test_movement_of_joints_is_a_share_of_the_persons_size() -> None:
    def entry(score: float, shift: float, x: float = 0.0) -> dict:
        joints = np.full((17, 3), 50.0)
        joints[:, 0] += shift
        return {"image_id": 1, "score": score, "bbox": [x, 0, 100, 100], "keypoints": joints.ravel().tolist()}

    found = movement("onnxruntime", 1.0, [entry(0.9, 0), entry(0.8, 0, x=500), entry(0.3, 0)], [entry(0.7, 5, x=10)])
    assert (found.people, found.lost) == (2, 1)
    assert found.median == pytest.approx(0.05)


def test_the_margin() -> None:
    def comparison(int8: float) -> Comparison:
        rows = (Row("openvino", 12.0, "keypoint AP", 0.5, int8), Row("onnxruntime", 1.0, "box AP", 0.6, 0.62))
        return Comparison("labels.json", 9, 20, (), rows, ())

    check_accepted(comparison(0.476), 0.05)
    numbers = r"falls from 0\.5000 to 0\.4700, by 6\.0 %, more than --max-drop 5 %"
    with pytest.raises(ModelError, match=r"keypoint AP at 12x on openvino " + numbers):
        check_accepted(comparison(0.47), 0.05)


# ------------------------------------------------------------------------------------------------------- bad input


def test_too_few_images_and_which_are_unreadable(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    shutil.copytree(clip, folder)
    (folder / "000.png").write_bytes(b"no picture")
    images = CalibrationImages(open_images(folder / "labels.json"), (64, 48), 8)
    with pytest.raises(InputError, match=r"7 usable images of 8 \(1 unreadable: 000\.png: not an image .*expected 8"):
        list(images)
    images = CalibrationImages(open_images(folder), (64, 48), 6)
    got = list(images)
    assert [image.shape for image in got] == [(1, 48, 64, 3)] * 6
    assert [item.name for item in images.unreadable] == ["000.png"]


def test_labels_of_nobody_are_refused(clip: Path, tmp_path: Path) -> None:
    labels = replace(read_annotations(clip / "labels.json"), persons=())
    write_annotations(tmp_path / "nobody.json", labels)
    with pytest.raises(AnnotationError, match="labels nobody with joints"):
        ValidationSet(tmp_path / "nobody.json")


def test_a_validation_image_that_is_unreadable_is_left_out_of_the_labels(
    accepted: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy_gate, "BACKENDS", ("onnxruntime",))
    folder = tmp_path / "images"
    shutil.copytree(clip, folder)
    (folder / "045.png").write_bytes(b"no picture")
    found = ValidationSet(folder / "labels.json").compare(LITE, accepted, Int8Config(validation_downsample=(1.0,)))
    assert (found.images, found.people) == (7, 35)
    assert "unreadable: 045.png" in found.table()


def test_graphs_that_are_not_for_one_image_or_not_whole_are_refused(
    export_int8: Callable[..., int],
    make_fake_model: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert export_int8(tmp_path / "out.onnx", model=make_fake_model((64, 64), batch=4)) == 2
    assert "takes 4 images a call, int8 is measured with one; export with --batch 1" in capsys.readouterr().err
    assert export_int8(tmp_path / "out.onnx", model=make_fake_model((64, 64), parts="people, poses")) == 2
    assert "one of two graphs; int8 starts from an export without --buckets" in capsys.readouterr().err


def test_images_that_are_both_calibrated_and_measured_on_are_counted(
    clip: Path, make_fake_model: Callable[..., Path], tmp_path: Path
) -> None:
    told: list[str] = []
    config = Int8Config(calibration=str(clip), validation=str(clip / "labels.json"))
    with pytest.raises(ModelError, match="no layer to quantise"):
        quantise(make_fake_model((64, 64)), tmp_path / "out.onnx", config, "unsigned", told.append)
    assert told == ["calibration: 8 of its images are validation images, too; int8 is measured on other ones"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibration": "EMPTY"}, "no images"),
        ({"calibration-images": 9}, "8 usable images of 8, expected 9 to calibrate on"),
        ({"calibration": "LABELS"}, "is --calibration and --validation; measure int8 on other images"),
        ({"batch": 4}, "int8 is measured through the runtime, one image per call; got --batch 4"),
        ({"size": "320x240"}, "--size: .*lite.onnx has that fixed"),
        ({"precision": "fp32"}, "--calibration is for --precision int8; got --precision fp32"),
        ({"model": "nothing"}, "no such shipped model"),
        ({"validation": str(SAMPLES / "or_clip_annotations.json")}, "frame of topic .* of a recording, .* save the "),
    ],
)
def test_what_does_not_fit_is_one_line_and_exit_code_2(
    export_int8: Callable[..., int],
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    paths = {"EMPTY": tmp_path / "empty", "LABELS": clip / "labels.json"}
    changes = {name: paths.get(value, value) if isinstance(value, str) else value for name, value in changes.items()}
    assert export_int8(tmp_path / "out.onnx", **changes) == 2
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
