"""Scenes seen by cameras: the pictures and labels of single moments and of sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.people.bodies import BodyBank
from training.synthetic_or.rendering.labels import label_people
from training.synthetic_or.rendering.renderer import Rendered, Renderer
from training.synthetic_or.rendering.sensor import expose
from training.synthetic_or.rooms.cameras import Camera, sample_cameras, sample_families
from training.synthetic_or.scenes.motion import scene_at, tracks_of
from training.synthetic_or.scenes.room_file import RoomFile
from training.synthetic_or.scenes.scene import Scene, sample_scene
from training.synthetic_or.shapes.noise import Noise
from training.synthetic_or.shapes.textures import Textures, make_textures

_MAX_TRIES = 12
#: A view is drawn again when things (not people) nearer than 1.3 m fill more of it than this: a lamp before the lens.
_MAX_BLOCKED = 0.3
#: Or when things and people that near fill more than this.
_MAX_NEAR = 0.75
_NEAR_M = 1.3
#: From this width on a glimpse first costs less than the pictures that are thrown away.
_LARGE_PX = 160
#: Why a view is rejected.
BLOCKED = "blocked"


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
    """One finished image of a scene: picture `(H, W, 3)` BGR uint8, the render behind it, its camera and labels.

    `number` counts the scene's cameras from 0; the camera's pose is in the frame of the room file, if there is one.
    """

    picture: NDArray[np.uint8]
    rendered: Rendered
    camera: Camera
    labels: list[PersonLabel]
    number: int


@dataclass(frozen=True)
class _Shot:
    """What camera `number` of a scene sees."""

    number: int
    camera: Camera
    rendered: Rendered


def scene_generator(config: SynthConfig, index: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, index, 0 if config.domain == "or" else 1])


def render_scene(config: SynthConfig, index: int, assets: Assets, rejected: Counter[str] | None = None) -> list[View]:
    """The views of scene `index`, one moment; depends on `config` and `index` alone.

    Views that something near the lens fills are drawn again and counted in `rejected`, by reason.
    """
    rng = scene_generator(config, index)
    scene, shots = _free_shots(config, assets, rng, Counter() if rejected is None else rejected)
    return [
        _view(config, shot, _picture(shot.rendered, shot.camera, rng), label_people(scene, shot.camera, shot.rendered))
        for shot in shots
    ]


def render_sequence(
    config: SynthConfig, index: int, assets: Assets, rejected: Counter[str] | None = None
) -> Iterator[list[View]]:
    """Moment after moment of scene `index`, the same cameras, free at the start, and sensors all the time."""
    rng = scene_generator(config, index)
    scene, shots = _free_shots(config, assets, rng, Counter() if rejected is None else rejected)
    motion = tracks_of(scene, assets.bank, rng)
    sensor_seeds = rng.integers(1 << 30, size=config.views)
    for frame in range(config.frames):
        moment = scene_at(motion, frame / config.fps)
        renderer = assets.renderer(moment)
        views = []
        for number, camera in ((shot.number, shot.camera) for shot in shots):
            sensor_seed = sensor_seeds[number]
            rendered = renderer.render(camera, np.random.default_rng(sensor_seed))
            noise_rng = np.random.default_rng([sensor_seed, frame])
            picture = _picture(rendered, camera, np.random.default_rng(sensor_seed), noise_rng)
            labels = [replace(label, track_id=label.person_id) for label in label_people(moment, camera, rendered)]
            views.append(_view(config, _Shot(number, camera, rendered), picture, labels))
        yield views


def _view(config: SynthConfig, shot: _Shot, picture: NDArray[np.uint8], labels: list[PersonLabel]) -> View:
    camera = shot.camera
    if config.room is not None:
        camera = replace(camera, room_from_camera=config.room.in_file_frame(camera.room_from_camera))
    return View(picture, shot.rendered, camera, labels, shot.number)


def _free_shots(
    config: SynthConfig, assets: Assets, rng: np.random.Generator, rejected: Counter[str]
) -> tuple[Scene, list[_Shot]]:
    """A scene and its cameras' views that nothing fills; fewer than wanted if there are none after some tries."""
    if config.room is not None and config.room.cameras:
        return _fixed_shots(config, config.room, assets, rng, rejected)
    scene = sample_scene(config.domain, assets.bank, assets.textures, rng, config.room)
    renderer = assets.renderer(scene)
    families = sample_families(config.cameras, config.domain, config.views, rng)
    shots: dict[int, _Shot] = {}
    for _ in range(_MAX_TRIES):
        # All cameras are drawn together, around the table; the free ones stay.
        for number, camera in enumerate(sample_cameras(families, config.image_size, scene.table, scene.room, rng)):
            if number not in shots:
                shot = _shot(number, camera, renderer, rng)
                if shot is None:
                    rejected[BLOCKED] += 1
                else:
                    shots[number] = shot
        if len(shots) == config.views:
            break
    return scene, [shots[number] for number in sorted(shots)]


def _shot(number: int, camera: Camera, renderer: Renderer, rng: np.random.Generator) -> _Shot | None:
    """What `camera` sees, None if something near fills the view; a glimpse at a tenth of the size first."""
    # Pixels differ a little between CPUs; what shading draws for them must not move the next camera.
    rng = np.random.default_rng(rng.integers(1 << 62))
    width, height = camera.image_size
    if width >= _LARGE_PX:
        small = camera.resized((width // 10, height // 10))
        if is_blocked(renderer.glimpse(small), len(small.rays.pixels)):
            return None
    rendered = renderer.render(camera, rng)
    return None if is_blocked(rendered, len(camera.rays.pixels)) else _Shot(number, camera, rendered)


def _fixed_shots(
    config: SynthConfig, room: RoomFile, assets: Assets, rng: np.random.Generator, rejected: Counter[str]
) -> tuple[Scene, list[_Shot]]:
    """Cameras stay where they are: people and furniture are drawn again until every view is free."""
    for _ in range(_MAX_TRIES):
        scene = sample_scene(config.domain, assets.bank, assets.textures, rng, room)
        renderer = assets.renderer(scene)
        cameras = room.fixed_cameras(config.image_size, rng)
        shots = [_shot(number, camera, renderer, rng) for number, camera in enumerate(cameras)]
        free = [shot for shot in shots if shot is not None]
        if len(free) == len(shots):
            break
        rejected[BLOCKED] += len(shots) - len(free)
    return scene, free


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


def is_blocked(rendered: Rendered, rays: int) -> bool:
    """Whether something near the lens fills the view of a camera with so many rays."""
    near = (rendered.distance_m > 0) & (rendered.distance_m < _NEAR_M)
    return bool((near & (rendered.instances == 0)).sum() > _MAX_BLOCKED * rays or near.sum() > _MAX_NEAR * rays)
