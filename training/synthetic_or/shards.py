"""One scene's files: images, depth, instances, and a shard of labels that says the scene is finished.

A shard is a label file of its scene alone; its `info.bytes` names the scene's files and their sizes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models import annotations as ann
from orpose_models.errors import InputError
from orpose_models.files import write_atomically
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.rooms.cameras import Camera
from training.synthetic_or.views import Assets, View, render_scene, render_sequence

#: Key of a label file's info: reason -> how many views were drawn again or given up for it.
REJECTED = "views_rejected"
#: Ids of a picture's people start at its image id times this.
_MAX_PEOPLE = 64
#: When sequences begin: 2024-01-01 00:00:00 UTC; each scene of a data set an hour after the one before it.
_START_S, _SCENE_S = 1_704_067_200, 3600
#: Twice as small as OpenCV's choice for depth, 2 ms slower at 640x480.
_DEPTH_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]

SceneState = Literal["complete", "missing", "damaged"]


def shard_path(out: Path, index: int) -> Path:
    return out / "shards" / f"{index:07d}.json"


def topic_of(config: SynthConfig, number: int) -> str:
    """The topic that camera `number`'s images have in a bag."""
    name = "camera" if config.views == 1 else f"camera{number}"
    return f"/{name}/image_raw/compressed"


def stamp_ns(config: SynthConfig, index: int, frame: int) -> int:
    """The time of frame `frame` of scene `index`'s sequence, ns since 1970."""
    return (_START_S + _SCENE_S * index) * 1_000_000_000 + round(frame * 1e9 / config.fps)


def scene_state(out: Path, index: int) -> SceneState:
    """Whether scene `index` is finished: its shard can be read, and all files it names are there in full."""
    try:
        content = shard_path(out, index).read_bytes()
    except FileNotFoundError:
        return "missing"
    try:
        sizes = json.loads(content)["info"]["bytes"]
        whole = all((out / name).stat().st_size == size for name, size in sizes.items())
    except (ValueError, TypeError, KeyError, AttributeError, OSError):
        return "damaged"
    return "complete" if whole else "damaged"


def read_shard(out: Path, index: int) -> dict[str, Any]:
    """The label file of scene `index`, decoded.

    Raises:
        InputError: It is missing or damaged.
    """
    path = shard_path(out, index)
    try:
        shard = json.loads(path.read_bytes())
    except OSError as error:
        reason = "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(f"{path}: {reason}; run the same command again, in a folder that all machines see") from None
    except ValueError:
        raise InputError(f"{path}: damaged; run the same command again") from None
    return dict(shard)


def write_scene(config: SynthConfig, out: Path, index: int, assets: Assets) -> None:
    """Renders scene `index` and writes its files; its shard of labels comes last.

    Raises:
        InputError: A file cannot be written, say because the disk is full.
    """
    images: list[ann.LabelledImage] = []
    persons: list[ann.PersonLabel] = []
    cameras: dict[str, ann.Camera] = {}
    sizes: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    if config.sequence:
        moments: Iterable[list[View]] = render_sequence(config, index, assets, rejected)
    else:
        moments = [render_scene(config, index, assets, rejected)]
    for frame, views in enumerate(moments):
        for view in views:
            image = _write_view(config, out, index, frame, view, sizes)
            images.append(image)
            cameras[str(image.camera_id)] = _camera_entry(str(image.camera_id), view.camera)
            first = image.image_id * _MAX_PEOPLE + 1
            persons += [
                replace(label, annotation_id=first + k, image_id=image.image_id) for k, label in enumerate(view.labels)
            ]
    whole = ann.AnnotationSet(tuple(images), tuple(persons), cameras, info={"bytes": sizes, REJECTED: rejected})
    shard = ann.annotations_to_dict(whole)
    write_atomically(shard_path(out, index), json.dumps(shard).encode())


def _write_view(
    config: SynthConfig, out: Path, index: int, frame: int, view: View, sizes: dict[str, int]
) -> ann.LabelledImage:
    """Writes one view's files, adds their sizes to `sizes` and returns the image's entry."""
    number = view.number
    stem = f"images/{index:07d}_{number}" + (f"_{frame:05d}" if config.sequence else "")
    files = {f"{stem}.jpg": _encoded(view.picture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality])}
    if config.depth:
        depth_mm = (view.rendered.depth_m * 1000 + 0.5).clip(0, 65535).astype(np.uint16)
        files[f"{stem}_depth.png"] = _encoded(depth_mm, ".png", _DEPTH_PNG)
        files[f"{stem}_instances.png"] = _encoded(view.rendered.instances, ".png")
    for name, content in files.items():
        write_atomically(out / name, content)
        sizes[name] = len(content)
    return ann.LabelledImage(
        image_id=(index * config.frames + frame) * config.views + number,
        file_name=f"{stem}.jpg",
        width=config.image_size[0],
        height=config.image_size[1],
        camera_id=f"scene{index:07d}_cam{number}",
        sequence=f"scene{index:07d}",
        frame_index=frame,
        stamp_ns=stamp_ns(config, index, frame) if config.sequence else None,
        topic=topic_of(config, number) if config.sequence else None,
        depth_file_name=f"{stem}_depth.png" if config.depth else None,
        instances_file_name=f"{stem}_instances.png" if config.depth else None,
    )


def _camera_entry(camera_id: str, camera: Camera) -> ann.Camera:
    return ann.Camera(
        camera_id, camera.model, camera.image_size, camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion,
        camera.room_from_camera,
    )  # fmt: skip


def _encoded(picture: NDArray, suffix: str, options: list[int] | None = None) -> bytes:
    ok, encoded = cv2.imencode(suffix, picture, options or [])
    if not ok:
        raise RuntimeError(f"OpenCV could not encode a {picture.shape} image as {suffix}")
    return bytes(encoded)
