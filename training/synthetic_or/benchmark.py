"""SynthOR, the benchmark of rendered rooms: its splits, and the checksum that tells whether a folder holds one.

`python -m training.synthetic_or.benchmark` renders the first scenes of all splits and writes the checksum anew, which
every change of what is drawn makes necessary.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from orpose_models import annotations as ann
from orpose_models.errors import ConfigError, InputError
from orpose_models.settings import build_settings, read_yaml_mapping
from training.synthetic_or.config import SynthConfig

_CONFIGS = Path(__file__).parents[1] / "configs"
SPLITS_PATH = _CONFIGS / "synthor.yaml"
CHECKSUM_PATH = _CONFIGS / "synthor_checksum.yaml"
#: Scenes of each split that the checksum covers.
CHECKED_SCENES = 8
#: Options that leave a split what it is: fewer images are its first ones.
_FREE = ("images", "size", "depth")
#: The checksum's numbers are whole; arithmetic of another CPU moves them by no more than this.
_TOLERANCE = 1

#: Of one scene: number of views, of people, and weighted sums of calibration, boxes (px) and 3D joints (mm).
SceneSums = list[int]


def split_names() -> list[str]:
    return list(read_yaml_mapping(SPLITS_PATH))


def split_config(split: str, options: dict[str, Any] | None = None) -> SynthConfig:
    """The settings of a split, with `options` (of those that leave it what it is) in place of its own.

    Raises:
        ConfigError: There is no such split, or an option would make it another data set.
    """
    splits = read_yaml_mapping(SPLITS_PATH)
    if split not in splits:
        raise ConfigError(f"command line: benchmark: got {split!r}: expected one of {', '.join(splits)}")
    for name in options or {}:
        if name not in _FREE:
            raise ConfigError(f"command line: {name}: SynthOR's {split} has its own; leave it out, or --benchmark")
    return build_settings(SynthConfig, {**splits[split], **(options or {})}, f"{SPLITS_PATH.name}: {split}")


def scene_sums(labels: ann.AnnotationSet, scenes: Iterable[int]) -> dict[int, SceneSums]:
    """The checksum of some scenes of a data set, by scene; people to ignore are left out."""
    found: dict[int, SceneSums] = {}
    for index in scenes:
        images = {image.image_id: image for image in labels.images if image.sequence == f"scene{index:07d}"}
        people = [label for label in labels.persons if label.image_id in images and not label.is_crowd]
        cameras = [labels.cameras[str(image.camera_id)] for image in images.values()]
        poses = [np.asarray(camera.room_from_camera)[:3] * 1000.0 for camera in cameras]
        lenses = [[c.fx, c.fy, c.cx, c.cy, *(1000.0 * k for k in c.distortion)] for c in cameras]
        found[index] = [
            len(images),
            len(people),
            _sum([*lenses, *poses]),
            _sum([np.asarray(label.bbox_amodal) for label in people]),
            _sum([np.asarray(label.keypoints_3d)[:, :3] for label in people]),
        ]
    return found


def _sum(parts: Iterable[Any]) -> int:
    """Sum of all numbers, each with a weight of its own from -1 to 1, so that what moves or changes place is seen."""
    values = np.concatenate([np.zeros(0), *(np.ravel(part) for part in parts)])
    return round(float(values @ np.random.RandomState(0).uniform(-1, 1, len(values))))


def check_split(split: str, config: SynthConfig, dataset: Path) -> int:
    """Compares a rendered split with the recorded checksum; returns how many scenes were compared.

    Only whole scenes at the split's own size can be compared: 0 for other sizes.

    Raises:
        InputError: Scenes differ.
    """
    if config.size != split_config(split).size:
        return 0
    recorded: list[SceneSums] = read_yaml_mapping(CHECKSUM_PATH).get(split, [])
    scenes = range(min(len(recorded), config.num_images // (config.views * config.frames)))
    sums = scene_sums(ann.read_annotations(dataset / "annotations.json"), scenes)
    wrong = [index for index in scenes if not same(sums[index], recorded[index])]
    if wrong:
        raise InputError(
            f"{dataset}: this is not SynthOR's {split}: scenes {', '.join(map(str, wrong))} of the first {len(scenes)} "
            f"differ from {CHECKSUM_PATH.name}; the version of orpose or of a package it draws with is another"
        )
    return len(scenes)


def same(sums: SceneSums, recorded: SceneSums) -> bool:
    """Whether two checksums of a scene agree, apart from what CPUs calculate differently."""
    return len(sums) == len(recorded) and all(
        abs(a - b) <= (_TOLERANCE if position >= 2 else 0)
        for position, (a, b) in enumerate(zip(sums, recorded, strict=True))
    )


def first_scenes(split: str, count: int, workers: int | None = None) -> list[SceneSums]:
    """Renders the first scenes of a split and returns their checksums."""
    from training.synthetic_or.generate import generate

    config = split_config(split)
    config = config.model_copy(update={"images": count * config.views * config.frames, "depth": False})
    with tempfile.TemporaryDirectory() as folder:
        generate(config, Path(folder), workers=workers)
        sums = scene_sums(ann.read_annotations(Path(folder) / "annotations.json"), range(count))
    return [sums[index] for index in range(count)]


def write_checksum() -> None:
    """Writes the checksum file anew."""
    lines = [
        "# What SynthOR's first scenes must be. Rewritten by: python -m training.synthetic_or.benchmark",
        "# One line a scene: views, people, weighted sums of calibration, boxes (px) and 3D joints (mm).",
    ]
    for split in split_names():
        rows = first_scenes(split, CHECKED_SCENES)
        lines += [f"{split}:", *(f"- {row}" for row in rows)]
    CHECKSUM_PATH.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_checksum()
