"""Small data sets that several files look at from outside, through annotations.json and the images."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("embreex", reason="rendering needs the extra 'synth'")

from training.synthetic_or.bodies import BodyBank
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate


@pytest.fixture(scope="session")
def moments(tmp_path_factory) -> Path:
    """Six scenes from two cameras each, with depth and instance ids."""
    out = tmp_path_factory.mktemp("moments")
    generate(SynthConfig(images=12, views=2, size="320x240", depth=True, seed=3), out, workers=1)
    return out


#: 1.5 s at 10 frames/s of a scene in which somebody walks.
SEQUENCE = SynthConfig(images=15, views=1, size="160x120", sequence=1.5, seed=4)


@pytest.fixture(scope="session")
def sequence(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sequence")
    generate(SEQUENCE, out, workers=1)
    return out


@pytest.fixture(scope="session")
def bank() -> BodyBank:
    return BodyBank()
