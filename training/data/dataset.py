"""Training images and labels: annotation files with their image folders, read lazily, augmented per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from orpose_models import files
from orpose_models.annotations import Camera, LabelledImage, PersonLabel, read_annotations
from orpose_models.errors import AnnotationError, ImageError, InputError
from orpose_models.runtime.images import decode_image, to_bgr8
from orpose_models.settings import Settings
from training.data.anonymise import anonymise_heads
from training.data.augment_config import AugmentConfig
from training.data.blank import blank_frame
from training.data.cut_occlude import cut_occlude
from training.data.geometry import random_warp
from training.data.occlusion import random_cutout
from training.data.packed_items import PackedItems
from training.data.photometry import random_photometry
from training.data.privacy import down_and_up, draw_factor, factor_of_input
from training.data.sample import Sample, joints_of, place_unknown_joints, sample_from_labels, targets_from_sample

Size = tuple[int, int]
#: A few broken files are skipped; so many one after the other mean a wrong folder or a lost disk.
MAX_UNREADABLE_IN_A_ROW = 20


class SourceConfig(Settings):
    """One label file and its images."""

    annotations: Path = Field(description="label file (docs/synthetic_or.md), or a folder that holds annotations.json")
    images: Path | None = Field(None, description="image folder; default: the label file's, then its images/")
    repeat: int = Field(1, ge=1, description="how often each image is seen in an epoch")
    limit: int | None = Field(None, ge=1, description="use only this many images, evenly spaced")


class LabelConfig(Settings):
    """How ground-truth visibility becomes soft and hard labels."""

    hidden_confidence: float = Field(0.6, ge=0, le=1, description="soft label's confidence of a hidden joint (v = 1)")
    hard_hidden: bool = Field(False, description="hidden joints are hard labels too")


@dataclass(frozen=True)
class Item:
    """One labelled image: where it lies, who is on it, and with what it was taken, if that is known."""

    path: Path
    image: LabelledImage
    persons: list[PersonLabel]
    camera: Camera | None = None


def read_items(sources: Sequence[SourceConfig], *, labelled: bool = True) -> list[Item]:
    """All images of the sources; some of them may be without people. Without `labelled` nobody's labels are looked at.

    Raises:
        InputError or AnnotationError: naming the file; also if nobody is labelled, or nobody with a joint, in any of
            the sources.
    """
    items: list[Item] = []
    for source in sources:
        items.extend(_read_source(source, labelled=labelled) * source.repeat)
    if sources and labelled:
        _check_that_somebody_is_labelled(items, ", ".join(str(source.annotations) for source in sources))
    return items


def _check_that_somebody_is_labelled(items: Sequence[Item], names: str) -> None:
    """Raises AnnotationError: boxes alone would leave the keypoint branches as they are, unsaid."""
    people = [person for item in items for person in item.persons if not person.is_crowd]
    if not people:
        raise AnnotationError(f"{names}: annotations: no labelled person in {len(items)} images; nothing to learn from")
    if not any((joints_of(person, 1.0, True)[0][:, 2] > 0).any() for person in people):
        raise AnnotationError(
            f"{names}: annotations: none of {len(people)} people has a keypoint (v or confidence above 0); nothing to"
            " learn joints from: give labels with keypoints, such as those of orpose pseudo-label"
        )


def label_file(source: SourceConfig) -> Path:
    """The label file that a source names, or that its folder holds."""
    return source.annotations / "annotations.json" if source.annotations.is_dir() else source.annotations


def _read_source(source: SourceConfig, *, labelled: bool) -> list[Item]:
    path = label_file(source)
    annotations = read_annotations(path)
    if not labelled:
        annotations = replace(annotations, persons=())
    elif annotations.skeleton.num_joints != 17:
        raise AnnotationError(
            f"{path}: category person: keypoints: training needs COCO-17, got {annotations.skeleton.name}"
        )
    folder = image_folder(source, path, annotations.images)
    persons = annotations.persons_by_image()
    images = annotations.images
    if source.limit is not None and source.limit < len(images):
        images = tuple(images[i] for i in np.linspace(0, len(images) - 1, source.limit).round().astype(int))
    cameras = annotations.cameras
    return [
        Item(folder / image.file_name, image, persons[image.image_id], cameras.get(str(image.camera_id)))
        for image in images
    ]


def image_folder(source: SourceConfig, path: Path, images: tuple[LabelledImage, ...]) -> Path:
    """The folder that the label file `path`'s image names start from. Raises: InputError or AnnotationError."""
    if not images:
        raise AnnotationError(f"{path}: images: empty; training and validation need images")
    names = [image.file_name for image in images]
    if source.images is None:
        folder, tried = files.image_folder(path, names), f"{path.parent} and {path.parent / 'images'}"
    else:
        found = any((source.images / name).is_file() for name in names)
        folder, tried = source.images if found else None, str(source.images)
    if folder is None:
        raise InputError(f"{path}: image {names[0]} is not in {tried}; set `images` to the image folder")
    return folder


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as `(H, W, 3)` BGR, as the teacher and the runtime decode it.

    Raises:
        ImageError: It cannot be read, is no image, or ends too early.
    """
    try:
        return to_bgr8(decode_image(np.frombuffer(path.read_bytes(), np.uint8)))
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from None
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None


def read_sample(item: Item, labels: LabelConfig) -> Sample:
    """The item's image and labels, in the image's own pixels."""
    image = read_image(item.path)
    height, width = image.shape[:2]
    if (width, height) != (item.image.width, item.image.height):
        raise ImageError(
            f"{item.path}: is {width}x{height}, expected {item.image.width}x{item.image.height} as its label file says"
        )
    return sample_from_labels(
        image,
        item.persons,
        hidden_confidence=labels.hidden_confidence,
        hard_hidden=labels.hard_hidden,
    )


def readable(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """The items whose image can be read as labelled, and why the others cannot."""
    good, errors = [], []
    for item in items:
        try:
            read_sample(item, LabelConfig())
        except ImageError as error:
            errors.append(str(error))
        else:
            good.append(item)
    return good, errors


def augment(
    sample: Sample,
    size: Size,
    config: AugmentConfig,
    labels: LabelConfig,
    rng: np.random.Generator,
    donor: Sample | None = None,
) -> Sample:
    """One random view of a sample at the network's input size (w, h); `donor` is what Cut-Occlude takes patches of."""
    if config.cut_occlude_joints > 0 and donor is not None:
        sample = cut_occlude(sample, donor, config, rng)
    sample = random_warp(sample, size, config, rng)
    sample = anonymise_heads(sample, config, rng)
    sample = random_cutout(sample, config, rng, hidden_confidence=labels.hidden_confidence)
    sample = place_unknown_joints(sample, rng)
    sample = blank_frame(sample, size, config, rng)
    image = random_photometry(sample.image, config, rng)
    factor = draw_factor(config.downsample, rng)
    sample.image = down_and_up(image, factor_of_input(factor, sample.frame_size, size))
    return sample


@dataclass(frozen=True)
class Draw:
    """Names one training sample completely: the same draw is the same pixels and labels on every machine.

    `donor` is the image of the batch that Cut-Occlude takes patches of; none: there are no patches.
    """

    position: int
    index: int
    size: Size
    donor: int | None = None


class TrainingItem(NamedTuple):
    """An image `(3, H, W)` uint8 RGB, its targets, why other images were skipped before, and its frame's (w, h) px."""

    image: torch.Tensor
    targets: dict[str, torch.Tensor]
    skipped: tuple[str, ...]
    frame_size: Size


class TrainingSet(torch.utils.data.Dataset):
    """Maps a `Draw` to a `TrainingItem`. Randomness comes from (seed, position) alone.

    Its items are packed: worker processes share them.
    """

    def __init__(self, items: Sequence[Item], config: AugmentConfig, labels: LabelConfig, seed: int) -> None:
        self.items = PackedItems(items)
        self.config = config
        self.labels = labels
        self.seed = seed

    def __len__(self) -> int:
        return len(self.items)

    def sample(self, draw: Draw) -> Sample:
        rng = np.random.default_rng([self.seed, draw.position])
        sample = read_sample(self.items[draw.index], self.labels)
        return augment(sample, draw.size, self.config, self.labels, rng, self._donor(draw))

    def _donor(self, draw: Draw) -> Sample | None:
        if draw.donor is None or self.config.cut_occlude_joints == 0:
            return None
        try:
            return read_sample(self.items[draw.donor], self.labels)
        except ImageError:  # skipped and counted where it is drawn itself
            return None

    def __getitem__(self, draw: Draw) -> TrainingItem:
        sample, skipped = self.readable_sample(draw)
        return TrainingItem(image_tensor(sample.image), targets_from_sample(sample), skipped, sample.frame_size)

    def readable_sample(self, draw: Draw) -> tuple[Sample, tuple[str, ...]]:
        """The draw, or instead of an image that cannot be read the next one that can; and what was skipped, why."""
        skipped: list[str] = []
        while True:
            try:
                return self.sample(replace(draw, index=(draw.index + len(skipped)) % len(self))), tuple(skipped)
            except ImageError as error:
                skipped.append(str(error))
                if len(skipped) > min(MAX_UNREADABLE_IN_A_ROW, len(self) - 1):
                    raise ImageError(f"{len(skipped)} images in a row cannot be read, the last one: {error}") from None


def image_tensor(image_bgr: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 RGB `(3, H, W)` of a BGR `(H, W, 3)` image."""
    return torch.from_numpy(np.ascontiguousarray(image_bgr[..., ::-1].transpose(2, 0, 1)))
