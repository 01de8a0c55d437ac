"""From an image to persons, with a graph that finds bright boxes: coordinates computed by hand, for every backend."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from orpose_models.errors import BackendError, ConfigError, ImageError, ModelError
from orpose_models.runtime import PoseEstimator, RuntimeConfig
from orpose_models.runtime.backends import load_backend
from orpose_models.runtime.estimator import persons_from_outputs
from orpose_models.runtime.letterbox import Letterbox
from orpose_models.runtime.models import find_model
from orpose_models.settings import build_settings

GRAPH_BACKENDS = [
    "onnxruntime",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(not importlib.util.find_spec("openvino"), reason="openvino is not installed"),
    ),
]


def image_with_boxes(width: int, height: int, **boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A black BGR image with bright x1 y1 x2 y2 boxes in the channels blue, green, red."""
    image = np.zeros((height, width, 3), np.uint8)
    for channel, name in enumerate(("blue", "green", "red")):
        if name in boxes:
            x1, y1, x2, y2 = boxes[name]
            image[y1:y2, x1:x2, channel] = 255
    return image


def estimator(fake_model, **values) -> PoseEstimator:
    return PoseEstimator(RuntimeConfig(model=str(fake_model), threads=1, **values))


@pytest.mark.parametrize("backend", GRAPH_BACKENDS)
def test_coordinates_scores_and_joints(fake_model, backend):
    image = image_with_boxes(640, 480, blue=(50, 100, 82, 196), green=(300, 10, 400, 470), red=(0, 0, 8, 4))
    result = estimator(fake_model, backend=backend).estimate(image)
    assert [p.score for p in result.candidates] == pytest.approx([0.9, 0.6, 0.2])
    assert result.persons == result.candidates[:2]
    assert result.image_size == (640, 480)
    assert result.nms_converged
    best = result.persons[0]
    assert best.bbox_xywh.tolist() == [50, 100, 32, 96]
    np.testing.assert_allclose(best.keypoints[8], [66, 148, 0.5])
    np.testing.assert_allclose(best.keypoints[16], [82, 196, 1.0])
    np.testing.assert_allclose(best.keypoints_3d[3], [30, 30, 30, 0.5])
    assert best.track_id == -1
    assert set(result.timings_ms) == {"preprocess", "infer", "post"}


@pytest.mark.parametrize("backend", GRAPH_BACKENDS)
def test_results_are_in_the_incoming_images_pixels(fake_model, backend):
    # 1920x1080 is reduced by 3 and lies 60 px below the input's top.
    result = estimator(fake_model, backend=backend).estimate(image_with_boxes(1920, 1080, blue=(300, 90, 600, 990)))
    assert result.image_size == (1920, 1080)
    np.testing.assert_allclose(result.persons[0].bbox_xywh, [300, 90, 300, 900], atol=1e-3)
    np.testing.assert_allclose(result.persons[0].keypoints[8, :2], [450, 540], atol=1e-3)


@pytest.mark.parametrize("size", [(480, 640), (321, 243), (53, 40), (1280, 300)])
def test_any_aspect(fake_model, size):
    width, height = size
    box = (width // 4, height // 4, width // 2, height // 2)
    result = estimator(fake_model).estimate(image_with_boxes(width, height, green=box))
    left, top, w, h = result.persons[0].bbox_xywh
    # Resizing blurs the edge over one source pixel.
    np.testing.assert_allclose([left, top, left + w, top + h], box, atol=1.01)


def test_reduced_input_gives_the_frames_pixels(fake_model):
    # A 53x40 image of a 640x480 frame. Its pixel columns 10-20 are the frame's 10 / 53 x 640 to 20 / 53 x 640.
    image = image_with_boxes(53, 40, blue=(10, 8, 20, 32))
    result = estimator(fake_model, frame_size="640x480").estimate(image)
    assert result.image_size == (640, 480)
    left, top, width, height = result.persons[0].bbox_xywh
    np.testing.assert_allclose(
        [left, top, left + width, top + height], [10 / 53 * 640, 96, 20 / 53 * 640, 384], atol=6.5
    )  # half a source pixel of 12 px


def test_downsampling_comes_first_and_keeps_the_frames_pixels(fake_model):
    image = image_with_boxes(640, 480, blue=(120, 96, 360, 384), green=(500, 100, 503, 103))
    full = estimator(fake_model, downsample=12)
    prepared = full.prepare(image)
    assert prepared.image.shape == (40, 53, 3)
    result = full.infer(prepared)
    assert result.downsample == 12
    # The large box survives within a source pixel, the 3 px one is gone.
    assert len(result.candidates) == 1
    left, top, width, height = result.persons[0].bbox_xywh
    np.testing.assert_allclose([left, top, left + width, top + height], [120, 96, 360, 384], atol=12)


def test_nothing_of_the_full_resolution_is_kept(fake_model):
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    runtime = estimator(fake_model, downsample=4)
    prepared = runtime.prepare(image)
    assert not np.shares_memory(prepared.image, image)
    assert not np.shares_memory(prepared.network_input, image)
    result = runtime.infer(prepared)
    assert not [value for value in vars(result).values() if isinstance(value, np.ndarray)]


def test_a_fitting_image_reaches_the_network_without_a_copy(fake_model):
    image = np.zeros((480, 640, 3), np.uint8)
    prepared = estimator(fake_model).prepare(image)
    assert np.shares_memory(prepared.network_input, image)
    assert prepared.network_input.shape == (1, 480, 640, 3)


@pytest.mark.parametrize("backend", GRAPH_BACKENDS)
def test_read_only_and_reused_buffers(fake_model, backend):
    runtime = estimator(fake_model, backend=backend)
    first_image = image_with_boxes(640, 480, blue=(10, 10, 20, 20))
    first_image.flags.writeable = False
    first = runtime.estimate(first_image)
    second = runtime.estimate(image_with_boxes(640, 480, blue=(100, 100, 200, 200)))
    assert first.persons[0].bbox_xywh.tolist() == [10, 10, 10, 10]
    assert second.persons[0].bbox_xywh.tolist() == [100, 100, 100, 100]


@pytest.mark.parametrize(
    "image",
    [
        np.full((1, 1, 3), 255, np.uint8),
        np.full((6000, 8000), 255, np.uint8),
        np.full((48, 64), 65535, np.uint16),
        np.full((48, 64, 4), 255, np.uint8),
        np.full((48, 64, 1), 1.0, np.float32),
    ],
    ids=["1x1", "8000x6000", "16 bit", "RGBA", "float"],
)
def test_unusual_images_simply_work(fake_model, image):
    result = estimator(fake_model).estimate(image)
    height, width = image.shape[:2]
    assert result.image_size == (width, height)
    np.testing.assert_allclose(result.persons[0].bbox_xywh, [0, 0, width, height], rtol=1e-4)


def test_unusable_images(fake_model):
    with pytest.raises(ImageError, match="no pixels"):
        estimator(fake_model).estimate(np.zeros((0, 0, 3), np.uint8))
    with pytest.raises(ImageError, match=r"image is 53x40, which is no reduced 1920x1080 frame"):
        estimator(fake_model, frame_size="1920x1080").estimate(np.zeros((40, 53, 3), np.uint8))


@pytest.mark.parametrize("size", [(53, 40), (54, 40), (71, 40), (1, 1), (320, 240), (640, 480)])
def test_rounded_sizes_of_a_frame_are_accepted(fake_model, size):
    frame = "1920x1080" if size == (71, 40) else "640x480"
    estimator(fake_model, frame_size=frame).estimate(np.zeros((size[1], size[0], 3), np.uint8))


@pytest.mark.parametrize("backend", GRAPH_BACKENDS)
@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_batch_gives_each_image_its_own_answer(make_fake_model, backend, count):
    """Three images a call: fewer are filled up, more take several calls."""
    batched = estimator(make_fake_model(batch=3), backend=backend)
    assert batched.info.batch == 3
    images = [image_with_boxes(640, 480, blue=(40 * i, 50, 40 * i + 30, 110)) for i in range(count - 1)]
    images.append(image_with_boxes(320, 240, blue=(10, 20, 40, 60), green=(100, 100, 120, 120)))
    results = batched.infer_batch([batched.prepare(image) for image in images])
    assert [len(result.persons) for result in results] == [1] * (count - 1) + [2]
    for index, result in enumerate(results[:-1]):
        assert result.persons[0].bbox_xywh == pytest.approx((40 * index, 50, 30, 60), abs=1)
    assert results[-1].image_size == (320, 240)
    assert results[-1].persons[0].bbox_xywh == pytest.approx((10, 20, 30, 40), abs=1)
    assert all(result.nms_converged for result in results)
    (alone,) = batched.estimate(images[-1]).persons[:1]
    assert (alone.keypoints == results[-1].persons[0].keypoints).all()


def outputs(scores: list[float], boxes: list[list[float]], valid: list[int]) -> dict[str, np.ndarray]:
    count = len(scores)
    return {
        "scores": np.array([scores], np.float32),
        "boxes": np.array([boxes], np.float32),
        "valid": np.array([valid], np.int32),
        "keypoints": np.zeros((1, count, 17, 3), np.float32),
        "keypoints_3d": np.zeros((1, count, 17, 4), np.float32),
        "nms_converged": np.array([1], np.int32),
    }


def test_slots_are_filtered_sorted_and_clipped():
    box = [-5.0, 10.0, 700.0, 470.0]
    slots = outputs([0.4, 0.8, 0.9, 0.01, 0.7], [box, box, box, box, [0, 0, 640, 50]], [1, 1, 0, 1, 1])
    persons = persons_from_outputs(slots, Letterbox.fit((1920, 1080), (640, 480)), 0.05)
    # The third slot is invalid, the fourth too weak, the fifth wholly in the padding above the frame.
    assert [round(p.score, 3) for p in persons] == [0.8, 0.4]
    np.testing.assert_allclose(persons[0].bbox_xywh, [0, 0, 1920, 1080])


def test_values_that_are_not_finite_are_an_error():
    slots = outputs([0.9], [[0, 0, np.nan, 10]], [1])
    with pytest.raises(ModelError, match="not finite"):
        persons_from_outputs(slots, Letterbox.fit((640, 480), (640, 480)), 0.05)


# ------------------------------------------------------------------------------------------------ models and backends


@pytest.mark.parametrize("backend", GRAPH_BACKENDS)
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": None}, "not an orpose model"),
        ({"format": "2"}, "orpose.format is 2"),
        ({"model_id": None}, "no orpose.model_id"),
        ({"input_size": "640"}, "expected WIDTHxHEIGHT"),
        ({"input_size": "320x240"}, "inputs"),
        ({"max_persons": "many"}, "many"),
    ],
)
def test_foreign_models(make_fake_model, backend, metadata, message):
    path = make_fake_model(**metadata)
    with pytest.raises(ModelError, match=message) as caught:
        load_backend(RuntimeConfig(backend=backend, model=str(path), threads=1))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", GRAPH_BACKENDS)
@pytest.mark.parametrize("damage", ["truncated", "random", "empty", "text"])
def test_damaged_models(fake_model, tmp_path, backend, damage):
    content = fake_model.read_bytes()
    damaged = {
        "truncated": content[: len(content) // 2],
        "random": np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes(),
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1\n",
    }[damage]
    path = tmp_path / "damaged.onnx"
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match=r"damaged\.onnx") as caught:
        load_backend(RuntimeConfig(backend=backend, model=str(path), threads=1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [("missing", "no such shipped model"), ("missing/x.onnx", "no such model file"), (__file__, "reads .onnx files")],
)
def test_missing_models(model, message):
    with pytest.raises(ModelError, match=message):
        load_backend(RuntimeConfig(model=model))


def test_shipped_models_are_made_into_what_torch_reads():
    with pytest.raises(ModelError, match=r"model 'lite': shipped as \.onnx; .*orpose convert lite --out lite"):
        find_model("lite", ".safetensors")


def test_unknown_backend_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"backend: got 'tpu'.*'onnxruntime', 'openvino', 'torch', 'torch-tensorrt'"):
        build_settings(RuntimeConfig, {"backend": "tpu"}, "here")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"backend": "openvino", "provider": "cuda"},
            "provider cuda is for backend onnxruntime; the backend is openvino",
        ),
        ({"torch_mode": "compile"}, "torch_mode compile is for backend torch"),
        ({"backend": "tensorrt", "torch_device": "cuda"}, "torch_device cuda is for backend torch"),
        ({"backend": "torch", "torch_mode": "cudagraphs"}, "cudagraphs needs torch_device cuda"),
    ],
)
def test_options_of_another_backend_are_an_error(options, message):
    with pytest.raises(ConfigError, match=message):
        build_settings(RuntimeConfig, options, "here")


@pytest.mark.parametrize(
    ("backend", "library", "install"),
    [
        ("openvino", "openvino", r"pip install 'orpose\[openvino\]'"),
        ("torch", "torch", r"pip install 'orpose\[train\]'"),
        ("torch-tensorrt", "torch_tensorrt", r"pip install 'orpose\[torch-tensorrt\]'"),
        ("tensorrt", "tensorrt", "JetPack"),
    ],
)
def test_missing_library_names_the_extra(monkeypatch, backend, library, install):
    monkeypatch.setitem(sys.modules, library, None)  # makes `import library` fail
    with pytest.raises(BackendError, match=rf"backend '{backend}' needs {library}.*{install}"):
        load_backend(RuntimeConfig(backend=backend))


@pytest.mark.parametrize("backend", GRAPH_BACKENDS)
def test_needs_no_torch(fake_model, backend):
    program = f"""
import sys
for name in ("torch", "torchvision", "onnx", "safetensors", "rclpy"):
    sys.modules[name] = None
import numpy as np
from orpose_models.runtime import PoseEstimator, RuntimeConfig
import orpose_models.runtime.sources, orpose_models.runtime.bags, orpose_models.draw
config = RuntimeConfig(model={str(fake_model)!r}, backend={backend!r}, downsample=12)
print(len(PoseEstimator(config).estimate(np.full((480, 640, 3), 255, np.uint8)).persons))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2"


def test_configuration_is_frozen_and_checked():
    config = RuntimeConfig(frame_size="1920x1080")
    assert config.frame_size == (1920, 1080)
    assert RuntimeConfig(frame_size="").frame_size is None
    for field in RuntimeConfig.model_fields.values():
        assert field.description
    with pytest.raises(ValueError, match="frozen"):
        config.threads = 3
