"""Writes a synthetic data set: scenes in parallel, one shard of labels each, merged at the end; an interrupted run resumes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from orpose_models import annotations as ann
from orpose_models.errors import ConfigError, InputError
from training.synthetic_or.bodies import BodyBank
from training.synthetic_or.cameras import Camera, sample_cameras
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.labels import label_people
from training.synthetic_or.motion import scene_at, tracks_of
from training.synthetic_or.renderer import Rendered, Renderer
from training.synthetic_or.scene import Scene, sample_scene
from training.synthetic_or.sensor import expose
from training.synthetic_or.textures import Textures, make_noise, make_textures

_MAX_TRIES = 12
#: A view is drawn again when one thing fills more of it than this, nearer than 1.3 m (a lamp before the lens).
_MAX_BLOCKED = 0.3


@dataclass(frozen=True)
class Assets:
    """What every scene shares: bodies, textures and noise, loaded once a process."""

    bank: BodyBank
    textures: Textures
    noise: tuple[NDArray, NDArray]

    @classmethod
    def load(cls) -> Assets:
        return cls(BodyBank(), make_textures(), make_noise())


@dataclass(frozen=True)
class View:
    """One finished image of a scene: picture `(H, W, 3)` BGR uint8, the render behind it, its camera and labels."""

    picture: NDArray[np.uint8]
    rendered: Rendered
    camera: Camera
    labels: list[ann.PersonLabel]


def scene_generator(config: SynthConfig, index: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, index, 0 if config.domain == "or" else 1])


def render_scene(config: SynthConfig, index: int, assets: Assets) -> tuple[Scene, list[View]]:
    """Scene `index` of the data set with all its views; depends on `config.seed` and `index` alone."""
    rng = scene_generator(config, index)
    scene = sample_scene(config.domain, assets.bank, assets.textures, rng)
    renderer = Renderer(scene, assets.textures, assets.noise)
    views: list[View] = []
    for _ in range(_MAX_TRIES):
        for camera in sample_cameras(config.domain, config.views, config.image_size, scene.table, scene.room, rng):
            if len(views) == config.views:
                return scene, views
            rendered = renderer.render(camera, rng)
            if not _blocked(rendered):
                views.append(
                    View(expose(rendered.linear_rgb, rng), rendered, camera, label_people(scene, camera, rendered))
                )
    return scene, views


def render_sequence(config: SynthConfig, index: int, assets: Assets) -> Iterator[list[View]]:
    """Moment after moment of scene `index`, the same cameras and sensors all the time."""
    rng = scene_generator(config, index)
    scene = sample_scene(config.domain, assets.bank, assets.textures, rng)
    tracks = tracks_of(scene, assets.bank, config.seconds, rng)
    cameras: list[Camera] = []
    for _ in range(_MAX_TRIES):
        start = Renderer(scene, assets.textures, assets.noise)
        found = sample_cameras(config.domain, config.views, config.image_size, scene.table, scene.room, rng)
        cameras += [camera for camera in found if not _blocked(start.render(camera, rng))]
        if len(cameras) >= config.views:
            break
    sensor_seeds = rng.integers(1 << 30, size=config.views)
    for frame in range(config.frames):
        moment = scene_at(scene, tracks, frame / config.fps)
        renderer = Renderer(moment, assets.textures, assets.noise)
        views = []
        for camera, sensor_seed in zip(cameras[: config.views], sensor_seeds, strict=False):
            rendered = renderer.render(camera, np.random.default_rng(sensor_seed))
            picture = expose(rendered.linear_rgb, np.random.default_rng(sensor_seed))
            labels = [replace(label, track_id=label.person_id) for label in label_people(moment, camera, rendered)]
            views.append(View(picture, rendered, camera, labels))
        yield views


def _blocked(rendered: Rendered) -> bool:
    near = (rendered.depth_m > 0) & (rendered.depth_m < 1.3)
    return float((near & (rendered.instances == 0)).mean()) > _MAX_BLOCKED or float(near.mean()) > 0.75


def generate(config: SynthConfig, out: Path, workers: int) -> ann.AnnotationSet:
    """Writes `out/images`, `out/annotations.json` (data.md) and returns the labels.

    Raises:
        ConfigError: `out` holds a data set made with other settings.
        InputError: `out` cannot be written.
    """
    shards = _prepare(config, out)
    missing = [index for index in range(config.num_scenes) if not _shard(shards, index).exists()]
    done = config.num_scenes - len(missing)
    with tqdm(total=config.num_scenes, initial=done, unit="scene", desc="synth", smoothing=0.05) as bar:
        if workers <= 1:
            _init_worker(config, out)
            for index in missing:
                _write_scene(index)
                bar.update()
        else:
            with ProcessPoolExecutor(workers, initializer=_init_worker, initargs=(config, out)) as pool:
                for future in as_completed([pool.submit(_write_scene, index) for index in missing]):
                    future.result()
                    bar.update()
    return merge(config, out)


def _prepare(config: SynthConfig, out: Path) -> Path:
    shards = out / "shards"
    try:
        shards.mkdir(parents=True, exist_ok=True)
        (out / "images").mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be created ({error.strerror}); choose another --out") from None
    settings = out / "synth.json"
    wanted = config.model_dump()
    if settings.exists():
        found = json.loads(settings.read_text())
        changed = sorted(key for key in wanted if key != "images" and found.get(key) != wanted[key])
        if changed:
            raise ConfigError(
                f"{out}: made with other settings ({', '.join(changed)}); use the same ones or an empty folder"
            )
    settings.write_text(json.dumps(wanted, indent=1))
    return shards


def _shard(shards: Path, index: int) -> Path:
    return shards / f"{index:07d}.json"


_worker: tuple[SynthConfig, Path, Assets] | None = None


def _init_worker(config: SynthConfig, out: Path) -> None:
    global _worker
    cv2.setNumThreads(1)
    _worker = (config, out, Assets.load())


def _write_scene(index: int) -> None:
    assert _worker is not None
    config, out, assets = _worker
    images, persons, cameras = [], [], {}
    moments = render_sequence(config, index, assets) if config.seconds else [render_scene(config, index, assets)[1]]
    for frame, number, view in ((f, n, v) for f, views in enumerate(moments) for n, v in enumerate(views)):
        name = f"{index:07d}_{number}" + (f"_{frame:05d}" if config.seconds else "")
        camera_id = f"scene{index:07d}_cam{number}"
        width, height = config.image_size
        _write_image(out / "images" / f"{name}.jpg", view.picture, [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality])
        depth_file = instances_file = None
        if config.depth:
            depth_file, instances_file = f"images/{name}_depth.png", f"images/{name}_instances.png"
            _write_image(out / depth_file, (view.rendered.depth_m * 1000 + 0.5).clip(0, 65535).astype(np.uint16), [])
            _write_image(out / instances_file, view.rendered.instances, [])
        image_id = (index * config.frames + frame) * config.views + number
        images.append(
            ann.LabelledImage(
                image_id,
                f"images/{name}.jpg",
                width,
                height,
                camera_id=camera_id,
                sequence=f"scene{index:07d}",
                frame_index=0,
                depth_file_name=depth_file,
                instances_file_name=instances_file,
            )  # fmt: skip
        )
        cameras[camera_id] = _camera_entry(camera_id, view.camera)
        persons += [
            replace(label, annotation_id=image_id * 64 + k + 1, image_id=image_id)
            for k, label in enumerate(view.labels)
        ]
    shard = ann.annotations_to_dict(ann.AnnotationSet(tuple(images), tuple(persons), cameras))
    _write_text(_shard(out / "shards", index), json.dumps(shard))


def _camera_entry(camera_id: str, camera: Camera) -> ann.Camera:
    return ann.Camera(
        camera_id, "plumb_bob", camera.image_size, camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion,
        camera.room_from_camera,
    )  # fmt: skip


def _write_image(path: Path, picture: NDArray, options: list[int]) -> None:
    ok, encoded = cv2.imencode(path.suffix, picture, options)
    if not ok:
        raise InputError(f"{path}: OpenCV could not encode a {picture.shape} image")
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(encoded.tobytes())
    os.replace(temporary, path)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text)
    os.replace(temporary, path)


def merge(config: SynthConfig, out: Path) -> ann.AnnotationSet:
    """Joins the shards of `out` into `annotations.json`; works on an unfinished set too."""
    images: list[ann.LabelledImage] = []
    persons: list[ann.PersonLabel] = []
    cameras: dict[str, ann.Camera] = {}
    for path in sorted((out / "shards").glob("*.json"))[: config.num_scenes]:
        part = ann.annotations_from_dict(json.loads(path.read_text()), source=str(path))
        images += part.images
        persons += part.persons
        cameras.update(part.cameras)
    whole = ann.AnnotationSet(
        tuple(images[: config.images]), tuple(persons), cameras, info={"synth": config.model_dump()}
    )
    kept = {image.image_id for image in whole.images}
    whole = replace(whole, persons=tuple(p for p in persons if p.image_id in kept))
    ann.write_annotations(out / "annotations.json", whole)
    return whole
