"""Training images and labels: annotation files with their image folders, read lazily, augmented per sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from orpose_models.annotations import LabelledImage, PersonLabel, read_annotations
from orpose_models.errors import AnnotationError, ImageError, InputError
from orpose_models.settings import Settings
from training.data.augment_config import AugmentConfig
from training.data.geometry import random_warp
from training.data.occlusion import random_cutout
from training.data.photometry import random_photometry
from training.data.privacy import down_and_up, draw_factor
from training.data.sample import Sample, sample_from_labels, targets_from_sample

Size = tuple[int, int]


class SourceConfig(Settings):
    """One label file and its images."""

    annotations: Path = Field(description="label file (data.md), or a folder that holds annotations.json")
    images: Path | None = Field(None, description="image folder; default: the label file's, then its images/")
    repeat: int = Field(1, ge=1, description="how often each image is seen in an epoch")
    limit: int | None = Field(None, ge=1, description="use only this many images, evenly spaced")


class LabelConfig(Settings):
    """How ground-truth visibility becomes soft and hard labels."""

    hidden_confidence: float = Field(0.6, ge=0, le=1, description="soft label's confidence of a hidden joint (v = 1)")
    hard_hidden: bool = Field(False, description="hidden joints are hard labels too")


@dataclass(frozen=True)
class Item:
    """One labelled image: where it lies and who is on it."""

    path: Path
    image: LabelledImage
    persons: list[PersonLabel]


def read_items(sources: Sequence[SourceConfig]) -> list[Item]:
    """All images of the sources. Raises: InputError or AnnotationError, naming the file."""
    items: list[Item] = []
    for source in sources:
        items.extend(_read_source(source) * source.repeat)
    return items


def _read_source(source: SourceConfig) -> list[Item]:
    path = source.annotations / "annotations.json" if source.annotations.is_dir() else source.annotations
    annotations = read_annotations(path)
    if annotations.skeleton.num_joints != 17:
        raise AnnotationError(
            f"{path}: categories[0].keypoints: training needs COCO-17, got {annotations.skeleton.name}"
        )
    folder = _image_folder(source, path, annotations.images)
    persons = annotations.persons_by_image()
    images = annotations.images
    if source.limit is not None and source.limit < len(images):
        images = tuple(images[i] for i in np.linspace(0, len(images) - 1, source.limit).round().astype(int))
    return [Item(folder / image.file_name, image, persons[image.image_id]) for image in images]


def _image_folder(source: SourceConfig, path: Path, images: tuple[LabelledImage, ...]) -> Path:
    if not images:
        raise AnnotationError(f"{path}: images: empty; training and validation need images")
    folders = [path.parent, path.parent / "images"] if source.images is None else [source.images]
    for folder in folders:
        if (folder / images[0].file_name).is_file():
            return folder
    tried = " and ".join(str(folder) for folder in folders)
    raise InputError(f"{path}: image {images[0].file_name} is not in {tried}; set `images` to the image folder")


def read_sample(item: Item, labels: LabelConfig) -> Sample:
    """The item's image and labels, in the image's own pixels."""
    image = cv2.imread(str(item.path), cv2.IMREAD_COLOR)
    if image is None:
        raise ImageError(f"{item.path}: missing, or not an image OpenCV can decode")
    height, width = image.shape[:2]
    if (width, height) != (item.image.width, item.image.height):
        raise ImageError(
            f"{item.path}: is {width}x{height}, expected {item.image.width}x{item.image.height} as its label file says"
        )
    return sample_from_labels(
        np.asarray(image, np.uint8),
        item.persons,
        hidden_confidence=labels.hidden_confidence,
        hard_hidden=labels.hard_hidden,
    )


def augment(sample: Sample, size: Size, config: AugmentConfig, labels: LabelConfig, rng: np.random.Generator) -> Sample:
    """One random view of a sample at the network's input size (w, h)."""
    sample = random_warp(sample, size, config, rng)
    sample = random_cutout(sample, config, rng, hidden_confidence=labels.hidden_confidence)
    image = random_photometry(sample.image, config, rng)
    sample.image = down_and_up(image, draw_factor(config.downsample, rng))
    return sample


@dataclass(frozen=True)
class Draw:
    """Names one training sample completely: the same draw is the same pixels and labels on every machine."""

    position: int
    index: int
    size: Size


class TrainingSet(torch.utils.data.Dataset):
    """Maps a `Draw` to (image uint8 `(3, H, W)` RGB, targets). Randomness comes from (seed, position) alone."""

    def __init__(self, items: Sequence[Item], config: AugmentConfig, labels: LabelConfig, seed: int) -> None:
        self.items = items
        self.config = config
        self.labels = labels
        self.seed = seed

    def __len__(self) -> int:
        return len(self.items)

    def sample(self, draw: Draw) -> Sample:
        rng = np.random.default_rng([self.seed, draw.position])
        return augment(read_sample(self.items[draw.index], self.labels), draw.size, self.config, self.labels, rng)

    def __getitem__(self, draw: Draw) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        sample = self.sample(draw)
        return image_tensor(sample.image), targets_from_sample(sample)


def image_tensor(image_bgr: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 RGB `(3, H, W)` of a BGR `(H, W, 3)` image."""
    return torch.from_numpy(np.ascontiguousarray(image_bgr[..., ::-1].transpose(2, 0, 1)))
