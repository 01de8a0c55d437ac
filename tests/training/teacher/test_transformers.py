"""The transformers library's detectors and ViTPose, small and with random weights, beside its own processors."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
import torch

from orpose_models.errors import ModelError
from orpose_models.skeleton import COCO17
from training.teacher.config import BoxViews, TransformersBoxes, VitPoseKeypoints
from training.teacher.stages import PLAIN, View
from training.teacher.tta import AugmentedBoxes, augmented_joints

transformers = pytest.importorskip("transformers", reason="needs the extra 'teacher'")

from training.teacher.hub import transformers_library  # noqa: E402
from training.teacher.transformers_boxes import TransformersBoxStage, person_label, scaled_size  # noqa: E402
from training.teacher.vitpose import VitPoseStage  # noqa: E402

CPU = torch.device("cpu")
LABELS = {0: "cat", 1: "person", 2: "chair"}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (160, 120), interpolation=cv2.INTER_CUBIC))


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A folder with an RT-DETR of few weights that takes everything for something."""
    torch.manual_seed(0)
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_in_channels=[8, 8, 8], encoder_hidden_dim=16, encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, num_queries=20, num_denoising=0, num_labels=3, id2label=LABELS,
    )  # fmt: skip
    model = transformers.RTDetrForObjectDetection(config)
    folder = tmp_path_factory.mktemp("rtdetr")
    model.save_pretrained(folder)
    transformers.RTDetrImageProcessor(size={"height": 64, "width": 96}).save_pretrained(folder)
    return folder


def detector_config(folder, **options) -> TransformersBoxes:
    return TransformersBoxes(kind="transformers", model=str(folder), **options)


def test_the_hub_does_not_tell_of_every_retry(caplog):
    transformers_library()
    logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
    assert caplog.records == []


def test_only_people_come_out_in_the_images_px(detector, image):
    stage = TransformersBoxStage(detector_config(detector, batch_size=2), CPU)
    small = np.asarray(cv2.resize(image, (80, 60)))
    found = stage.detect([image, small, image])
    assert len(found) == 3 and len(found[0]) > 0
    np.testing.assert_allclose(found[0].xyxy, found[2].xyxy, atol=1e-3)
    assert (np.diff(found[0].scores) <= 0).all() and found[1].xyxy.max() < 200
    model = transformers.RTDetrForObjectDetection.from_pretrained(detector).eval()
    processor = transformers.RTDetrImageProcessor.from_pretrained(detector)
    with torch.no_grad():
        outputs = model(**processor(images=[image[..., ::-1].copy()], return_tensors="pt"))
    (expected,) = processor.post_process_object_detection(outputs, threshold=0.05, target_sizes=[(120, 160)])
    people = expected["labels"] == 1
    assert 0 < people.sum() < len(people)
    np.testing.assert_allclose(np.sort(found[0].scores), np.sort(expected["scores"][people]), atol=1e-5)


def test_scales_and_flips(detector, image):
    stage = AugmentedBoxes(TransformersBoxStage(detector_config(detector), CPU), BoxViews(scales=(1, 1.5), flip=True))
    (found,) = stage.detect([image])
    assert len(found) > 0 and np.isfinite(found.xyxy).all()


def test_the_person_class_is_looked_up():
    assert person_label({0: "N/A", 1: "person"}, "m") == 1
    assert person_label({0: "Person", 1: "car"}, "m") == 0
    with pytest.raises(ModelError, match=r"m: has no class 'person' among 2 \(cat, dog"):
        person_label({0: "cat", 1: "dog"}, "m")


@pytest.mark.parametrize(("size", "scale", "expected"), [
    ({"height": 640, "width": 640}, 1, {"height": 640, "width": 640}),
    ({"height": 640, "width": 640}, 0.8, {"height": 512, "width": 512}),
    ({"height": 640, "width": 640}, 1.24, {"height": 800, "width": 800}),
    ({"shortest_edge": 800, "longest_edge": 1333}, 0.5, {"shortest_edge": 400, "longest_edge": 666}),
])  # fmt: skip
def test_sizes_of_scales(size, scale, expected):
    assert scaled_size(size, scale) == expected


@pytest.fixture(scope="module")
def vitpose(tmp_path_factory):
    """A folder with a ViTPose+ (two experts) of few weights."""
    torch.manual_seed(0)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        mlp_ratio=2, num_experts=2, part_features=4, out_indices=[2],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)
    folder = tmp_path_factory.mktemp("vitpose")
    transformers.VitPoseForPoseEstimation(config).save_pretrained(folder)
    return folder


def vitpose_stage(folder) -> VitPoseStage:
    return VitPoseStage(VitPoseKeypoints(kind="vitpose", model=str(folder)), CPU)


def test_joints_are_those_of_the_librarys_own_processor(vitpose, image):
    boxes = np.array([[40, 30, 90, 100], [60, 40, 110, 80]], np.float32)
    joints = augmented_joints(vitpose_stage(vitpose), image, boxes, (PLAIN,))
    processor = transformers.VitPoseImageProcessor(size={"height": 64, "width": 48})
    model = transformers.VitPoseForPoseEstimation.from_pretrained(vitpose).eval()
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    inputs = processor(images=[image[..., ::-1].copy()], boxes=[xywh], return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs, dataset_index=torch.zeros(2, dtype=torch.long))
    (expected,) = processor.post_process_pose_estimation(outputs, boxes=[xywh])
    for person, other in zip(joints, expected, strict=True):
        # crops are rounded to whole grey levels here; the other side counts from the first pixel's middle
        np.testing.assert_allclose(person[:, :2] - 0.5, other["keypoints"], atol=0.5)
        np.testing.assert_allclose(person[:, 2], other["scores"].numpy().clip(0, 1), atol=0.01)


def test_flipped_and_zoomed_views(vitpose, image):
    stage, boxes = vitpose_stage(vitpose), np.array([[40, 30, 90, 100]], np.float32)
    views = (PLAIN, View(1, True), View(1.2, False), View(1.2, True))
    joints = augmented_joints(stage, image, boxes, views)
    assert joints.shape == (1, 17, 3) and np.isfinite(joints).all()
    # An unbiased crop mirrored is the mirrored image's crop: heatmaps swap sides and cells, exactly. Crops take boxes
    # as counted from the first pixel's middle, as the published codes do: x becomes 159 - x.
    mirrored = np.ascontiguousarray(image[:, ::-1])
    other = stage.heatmaps(mirrored, np.array([[69, 30, 119, 100]], np.float32), View(1, True))
    plain = stage.heatmaps(image, boxes, PLAIN)
    torch.testing.assert_close(other.flip(-1)[:, list(COCO17.flip)], plain, atol=2e-3, rtol=0)


def test_a_model_of_other_joints(tmp_path):
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        out_indices=[1],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=133)
    transformers.VitPoseForPoseEstimation(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="finds 133 joints, expected COCO's 17"):
        vitpose_stage(tmp_path)


@pytest.fixture
def offline(monkeypatch):
    """No network: whatever opens a connection fails at once."""

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_without_network_it_says_what_to_fetch(offline):
    with pytest.raises(ModelError) as caught:
        TransformersBoxStage(detector_config("nobody/no-such-detector"), CPU)
    text = str(caught.value)
    assert "nobody/no-such-detector: no such folder, and the hub does not give it" in text and "\n" not in text
    assert "hf download nobody/no-such-detector --local-dir DIR" in text


def test_a_damaged_folder(detector, tmp_path):
    for file in detector.iterdir():
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: len(content) // 2] if file.suffix == ".safetensors" else content)
    with pytest.raises(ModelError, match=r"not a readable model .* copy the whole folder again"):
        TransformersBoxStage(detector_config(tmp_path), CPU)


def test_weights_of_another_model_are_not_taken(vitpose, detector, tmp_path):
    for file in detector.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes((vitpose / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"\d+ weights are missing or of another shape"):
        TransformersBoxStage(detector_config(tmp_path), CPU)
