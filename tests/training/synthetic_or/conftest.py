"""Small data sets that several files look at from outside, through annotations.json and the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("embreex", reason="rendering needs the extra 'synth'")

from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate
from training.synthetic_or.people.bodies import BodyBank
from training.synthetic_or.scenes.scene import Scene, sample_scene
from training.synthetic_or.shapes.textures import make_textures
from training.synthetic_or.views import Assets, scene_generator


@pytest.fixture(scope="session")
def moments(tmp_path_factory) -> Path:
    """Six scenes from two cameras each, with depth and instance ids."""
    out = tmp_path_factory.mktemp("moments")
    generate(SynthConfig(images=12, views=2, size="320x240", depth=True, seed=3), out, workers=1)
    return out


#: 1.5 s at 10 frames/s of a scene with several people, one of whom walks.
SEQUENCE = SynthConfig(images=15, views=1, size="160x120", sequence=1.5)


@pytest.fixture(scope="session")
def sequence(tmp_path_factory) -> Path:
    out, assets = tmp_path_factory.mktemp("sequence"), Assets.load()
    configs = (SEQUENCE.model_copy(update={"seed": seed}) for seed in range(100))
    busy = (config for config in configs if is_busy(_first_scene(config, assets)))
    generate(next(busy), out, workers=1)
    return out


def _first_scene(config: SynthConfig, assets: Assets) -> Scene:
    return sample_scene(config.domain, assets.bank, assets.textures, scene_generator(config, 0))


def is_busy(scene: Scene) -> bool:
    """Whether somebody walks and others are there. Which seeds give that changes with every change of the scenes."""
    kinds = [person.request.kind for person in scene.people if person.role != "patient"]
    return len(kinds) >= 3 and "walk" in kinds


@pytest.fixture(scope="session")
def busy_scene(bank) -> Callable[[int], Scene]:
    """Seed -> the first busy scene from that seed on."""
    textures = make_textures(per_kind=1)

    def find(seed: int) -> Scene:
        scenes = (sample_scene("or", bank, textures, np.random.default_rng(s)) for s in range(seed, seed + 100))
        return next(scene for scene in scenes if is_busy(scene))

    return find


@pytest.fixture(scope="session")
def bank() -> BodyBank:
    return BodyBank()
