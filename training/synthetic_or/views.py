"""Scenes seen by cameras: the pictures and labels of single moments and of sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel
from training.synthetic_or.bodies import BodyBank
from training.synthetic_or.cameras import Camera, sample_cameras, sample_families
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.labels import label_people
from training.synthetic_or.motion import scene_at, tracks_of
from training.synthetic_or.noise import Noise
from training.synthetic_or.renderer import Rendered, Renderer
from training.synthetic_or.scene import Scene, sample_scene
from training.synthetic_or.sensor import expose
from training.synthetic_or.textures import Textures, make_textures

_MAX_TRIES = 12
#: A view is drawn again when things (not people) nearer than 1.3 m fill more of it than this: a lamp before the lens.
_MAX_BLOCKED = 0.3
#: Or when things and people that near fill more than this.
_MAX_NEAR = 0.75
_NEAR_M = 1.3


@dataclass(frozen=True)
class Assets:
    """What every scene shares: bodies, textures and noise, loaded once a process."""

    bank: BodyBank
    textures: Textures
    noise: Noise

    @classmethod
    def load(cls) -> Assets:
        return cls(BodyBank(), make_textures(), Noise())

    def renderer(self, scene: Scene) -> Renderer:
        return Renderer(scene, self.textures, self.noise)


@dataclass(frozen=True)
class View:
    """One finished image of a scene: picture `(H, W, 3)` BGR uint8, the render behind it, its camera and labels."""

    picture: NDArray[np.uint8]
    rendered: Rendered
    camera: Camera
    labels: list[PersonLabel]


def scene_generator(config: SynthConfig, index: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, index, 0 if config.domain == "or" else 1])


def render_scene(config: SynthConfig, index: int, assets: Assets) -> list[View]:
    """The views of scene `index`, one moment; depends on `config.seed`, `config.domain` and `index` alone."""
    rng = scene_generator(config, index)
    scene = sample_scene(config.domain, assets.bank, assets.textures, rng)
    renderer = assets.renderer(scene)
    families = sample_families(config.cameras, config.domain, config.views, rng)
    views: list[View] = []
    for _ in range(_MAX_TRIES):
        for camera in sample_cameras(families[len(views) :], config.image_size, scene.table, scene.room, rng):
            if len(views) == config.views:
                return views
            rendered = renderer.render(camera, rng)
            if not _blocked(rendered):
                picture = _picture(rendered, camera, rng)
                views.append(View(picture, rendered, camera, label_people(scene, camera, rendered)))
    return views


def render_sequence(config: SynthConfig, index: int, assets: Assets) -> Iterator[list[View]]:
    """Moment after moment of scene `index`, the same cameras and sensors all the time."""
    rng = scene_generator(config, index)
    scene = sample_scene(config.domain, assets.bank, assets.textures, rng)
    motion = tracks_of(scene, assets.bank, rng)
    cameras = _free_cameras(config, scene, assets.renderer(scene), rng)
    sensor_seeds = rng.integers(1 << 30, size=config.views)
    for frame in range(config.frames):
        moment = scene_at(motion, frame / config.fps)
        renderer = assets.renderer(moment)
        views = []
        for camera, sensor_seed in zip(cameras, sensor_seeds, strict=False):
            rendered = renderer.render(camera, np.random.default_rng(sensor_seed))
            noise_rng = np.random.default_rng([sensor_seed, frame])
            picture = _picture(rendered, camera, np.random.default_rng(sensor_seed), noise_rng)
            labels = [replace(label, track_id=label.person_id) for label in label_people(moment, camera, rendered)]
            views.append(View(picture, rendered, camera, labels))
        yield views


def _free_cameras(config: SynthConfig, scene: Scene, renderer: Renderer, rng: np.random.Generator) -> list[Camera]:
    """Cameras with a free view at the sequence's start; fewer than wanted if there are none."""
    families = sample_families(config.cameras, config.domain, config.views, rng)
    cameras: list[Camera] = []
    for _ in range(_MAX_TRIES):
        found = sample_cameras(families[len(cameras) :], config.image_size, scene.table, scene.room, rng)
        cameras += [camera for camera in found if not _blocked(renderer.render(camera, rng))]
        if len(cameras) >= config.views:
            break
    return cameras[: config.views]


def _picture(
    rendered: Rendered, camera: Camera, rng: np.random.Generator, noise_rng: np.random.Generator | None = None
) -> NDArray[np.uint8]:
    """What the camera's electronics make of the render; outside the image circle black, which exposure ignores."""
    dark = np.ones(rendered.depth_m.shape, bool)
    dark.ravel()[camera.rays.pixels] = False
    linear_rgb = rendered.linear_rgb
    if dark.any():
        linear_rgb = np.where(dark[:, :, None], linear_rgb[~dark].mean(0), linear_rgb)
    picture = expose(linear_rgb, rng, noise_rng)
    picture[dark] = 0
    return picture


def _blocked(rendered: Rendered) -> bool:
    near = (rendered.distance_m > 0) & (rendered.distance_m < _NEAR_M)
    return float((near & (rendered.instances == 0)).mean()) > _MAX_BLOCKED or float(near.mean()) > _MAX_NEAR
