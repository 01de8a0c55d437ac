"""Reading sources: folders, limits, and errors that name the file; samples hang on (seed, position) alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from orpose_models.annotations import (
    AnnotationSet,
    LabelledImage,
    PersonLabel,
    read_annotations,
    write_annotations,
)
from orpose_models.errors import AnnotationError, ImageError, InputError
from orpose_models.skeleton import MVOR10
from training.data.augment_config import AugmentConfig
from training.data.dataset import Draw, LabelConfig, SourceConfig, TrainingSet, read_items, read_sample, readable
from training.data.loader import collate
from training.teacher.labelling import read_picture


def test_folder_and_file_name_the_same_source(make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset(3)
    by_folder = read_items([SourceConfig(annotations=folder)])
    by_file = read_items([SourceConfig(annotations=folder / "annotations.json", images=folder / "images")])
    assert [item.path for item in by_folder] == [item.path for item in by_file]
    assert read_sample(by_folder[0], LabelConfig()).image.shape == (96, 128, 3)


def test_repeat_and_limit(make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset(5)
    items = read_items([SourceConfig(annotations=folder, limit=2), SourceConfig(annotations=folder, repeat=2)])
    assert len(items) == 2 + 10
    assert [item.image.image_id for item in items[:2]] == [0, 4]


def test_missing_images(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_dataset(1)
    with pytest.raises(InputError, match=r"image 0.png is not in .*set `images`"):
        read_items([SourceConfig(annotations=folder, images=tmp_path)])


def test_a_corrupt_image_and_one_of_another_size(make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset(2)
    items = read_items([SourceConfig(annotations=folder)])
    items[0].path.write_bytes(b"no image")
    cv2.imwrite(str(items[1].path), np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(ImageError, match="not an image"):
        read_sample(items[0], LabelConfig())
    with pytest.raises(ImageError, match="is 20x10, expected 128x96"):
        read_sample(items[1], LabelConfig())


def test_an_image_that_ends_too_early_is_not_half_an_image(make_dataset: Callable[..., Path]) -> None:
    """OpenCV would fill what is missing of a JPEG with grey, below the people's labels."""
    (item,) = read_items([SourceConfig(annotations=make_dataset(1))])
    _, encoded = cv2.imencode(".jpg", cv2.imread(str(item.path)))
    item.path.write_bytes(encoded.tobytes()[: len(encoded) // 2])
    with pytest.raises(ImageError, match=r"0\.png: a JPEG that ends too early"):
        read_sample(item, LabelConfig())


def test_training_sees_the_pixels_that_the_teacher_saw(make_dataset: Callable[..., Path]) -> None:
    (item,) = read_items([SourceConfig(annotations=make_dataset(1))])
    deep = np.random.default_rng(0).integers(0, 2**16, (96, 128, 3)).astype(np.uint16)
    cv2.imwrite(str(item.path), deep)
    np.testing.assert_array_equal(read_sample(item, LabelConfig()).image, read_picture(item.path))


def test_a_missing_first_image_is_like_any_other(make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset(3)
    (folder / "images/0.png").unlink()
    for source in (SourceConfig(annotations=folder), SourceConfig(annotations=folder, images=folder / "images")):
        good, errors = readable(read_items([source]))
        assert [item.path.name for item in good] == ["1.png", "2.png"]
        assert len(errors) == 1 and "0.png: cannot be read" in errors[0]


def test_without_labels_anybodys_images_will_do(make_dataset: Callable[..., Path]) -> None:
    """MVOR's ten joints are not trained on, but its images may be those without labels."""
    folder = make_dataset(2)
    labels = read_annotations(folder / "annotations.json")
    people = tuple(replace(p, keypoints=np.ones((10, 3)), keypoints_3d=None) for p in labels.persons)
    write_annotations(folder / "annotations.json", replace(labels, persons=people, skeleton=MVOR10))
    source = SourceConfig(annotations=folder)
    with pytest.raises(AnnotationError, match="training needs COCO-17, got mvor10"):
        read_items([source])
    items = read_items([source], labelled=False)
    assert [item.persons for item in items] == [[], []]
    image, targets, *_ = TrainingSet(items, AugmentConfig(), LabelConfig(), seed=0)[Draw(0, 0, (96, 64))]
    assert image.shape == (3, 64, 96) and len(targets["boxes"]) == 0


def test_unreadable_images_are_skipped_and_named(make_dataset: Callable[..., Path]) -> None:
    items = read_items([SourceConfig(annotations=make_dataset(3))])
    items[1].path.write_bytes(b"no image")
    items[2].path.unlink()
    data = TrainingSet(items, AugmentConfig(), LabelConfig(), seed=0)
    batch = collate([data[Draw(0, 0, (96, 64))], data[Draw(1, 1, (96, 64))]])
    assert [("1.png" in error, "2.png" in error) for error in batch.skipped] == [(True, False), (False, True)]
    assert torch.equal(batch.images[1], data[Draw(1, 0, (96, 64))].image)
    good, errors = readable(items)
    assert [item.path.name for item in good] == ["0.png"]
    assert errors == batch.skipped


def test_nothing_but_unreadable_images(make_dataset: Callable[..., Path]) -> None:
    items = read_items([SourceConfig(annotations=make_dataset(2))])
    for item in items:
        item.path.unlink()
    with pytest.raises(ImageError, match=r"2 images in a row cannot be read, the last one: .*0\.png"):
        TrainingSet(items, AugmentConfig(), LabelConfig(), seed=0)[Draw(0, 1, (96, 64))]


@pytest.mark.parametrize("crowd", [False, True])
def test_nobody_labelled(tmp_path: Path, crowd: bool) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    people = (PersonLabel(1, 0, np.array([0.0, 0, 9, 9]), is_crowd=True),) if crowd else ()
    write_annotations(tmp_path / "annotations.json", AnnotationSet((LabelledImage(0, "a.png", 64, 48),), people))
    with pytest.raises(AnnotationError, match="no labelled person in 1 images"):
        read_items([SourceConfig(annotations=tmp_path)])


@pytest.mark.parametrize(
    "change", [{"keypoints": None}, {"keypoints": np.zeros((17, 3))}, {"joint_weight": np.zeros(17)}]
)
def test_nobody_has_a_joint(make_dataset: Callable[..., Path], change: dict) -> None:
    """Boxes alone, unknown joints, or joints that SSPCM dropped: the keypoint branches would learn nothing, unsaid."""
    folder = make_dataset(1)
    labels = read_annotations(folder / "annotations.json")
    people = tuple(replace(person, **change) for person in labels.persons)
    write_annotations(folder / "annotations.json", replace(labels, persons=people))
    with pytest.raises(AnnotationError, match=rf"annotations: none of {len(people)} people has a keypoint"):
        read_items([SourceConfig(annotations=folder)])


def test_no_images(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(AnnotationError, match="images: empty"):
        read_items([SourceConfig(annotations=path)])


def test_a_draw_is_the_same_sample_every_time(make_dataset: Callable[..., Path]) -> None:
    items = read_items([SourceConfig(annotations=make_dataset(2))])
    first, second = (TrainingSet(items, AugmentConfig(), LabelConfig(), seed=5) for _ in range(2))
    draw = Draw(position=17, index=1, size=(96, 64))
    image, targets, _, frame_size = first[draw]
    assert frame_size == (128, 96)
    again, same, *_ = second[draw]
    assert (image.shape, image.dtype) == ((3, 64, 96), torch.uint8)
    assert torch.equal(image, again)
    assert all(torch.equal(targets[key], same[key]) for key in targets)
    other, *_ = first[Draw(position=18, index=1, size=(96, 64))]
    assert not torch.equal(image, other)
