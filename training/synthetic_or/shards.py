"""One scene's files: images, depth, instances, and a shard of labels that says the scene is finished."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models import annotations as ann
from orpose_models.errors import InputError
from training.synthetic_or.cameras import Camera
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.views import Assets, View, render_scene, render_sequence

#: Ids of a picture's people start at its image id times this.
_MAX_PEOPLE = 64
#: When sequences begin: 2024-01-01 00:00:00 UTC; each scene of a data set an hour after the one before it.
_START_S, _SCENE_S = 1_704_067_200, 3600


def shard_path(out: Path, index: int) -> Path:
    return out / "shards" / f"{index:07d}.json"


def topic_of(config: SynthConfig, number: int) -> str:
    """The topic that camera `number`'s images have in a bag."""
    name = "camera" if config.views == 1 else f"camera{number}"
    return f"/{name}/image_raw/compressed"


def stamp_ns(config: SynthConfig, index: int, frame: int) -> int:
    """The time of frame `frame` of scene `index`'s sequence, ns since 1970."""
    return (_START_S + _SCENE_S * index) * 1_000_000_000 + round(frame * 1e9 / config.fps)


def write_scene(config: SynthConfig, out: Path, index: int, assets: Assets) -> None:
    """Renders scene `index` and writes its files; its shard of labels comes last.

    Raises:
        InputError: A file cannot be written, say because the disk is full.
    """
    images: list[ann.LabelledImage] = []
    persons: list[ann.PersonLabel] = []
    cameras: dict[str, ann.Camera] = {}
    moments = render_sequence(config, index, assets) if config.sequence else [render_scene(config, index, assets)]
    for frame, views in enumerate(moments):
        for number, view in enumerate(views):
            image = _write_view(config, out, index, frame, number, view)
            images.append(image)
            cameras[str(image.camera_id)] = _camera_entry(str(image.camera_id), view.camera)
            first = image.image_id * _MAX_PEOPLE + 1
            persons += [
                replace(label, annotation_id=first + k, image_id=image.image_id) for k, label in enumerate(view.labels)
            ]
    shard = ann.annotations_to_dict(ann.AnnotationSet(tuple(images), tuple(persons), cameras))
    write_atomically(shard_path(out, index), json.dumps(shard).encode())


def _write_view(config: SynthConfig, out: Path, index: int, frame: int, number: int, view: View) -> ann.LabelledImage:
    stem = f"images/{index:07d}_{number}" + (f"_{frame:05d}" if config.sequence else "")
    _write_image(out / f"{stem}.jpg", view.picture, [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality])
    if config.depth:
        depth_mm = (view.rendered.depth_m * 1000 + 0.5).clip(0, 65535).astype(np.uint16)
        _write_image(out / f"{stem}_depth.png", depth_mm)
        _write_image(out / f"{stem}_instances.png", view.rendered.instances)
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


def _write_image(path: Path, picture: NDArray, options: list[int] | None = None) -> None:
    ok, encoded = cv2.imencode(path.suffix, picture, options or [])
    if not ok:
        raise InputError(f"{path}: OpenCV could not encode a {picture.shape} image")
    write_atomically(path, encoded.tobytes())


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name first, so that a half one never has its name.

    Raises:
        InputError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); free the disk or choose another --out"
        ) from None
