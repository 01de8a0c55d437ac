"""The room's lamps: ceiling panels, daylight, surgical lamps; each a light and the bright thing that is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import Rng, grey
from training.synthetic_or.shapes.meshes import Material, Mesh, linear

_LAMP = Material(noise=0.0, emission=4.0)


@dataclass(frozen=True)
class Light:
    """A rectangular area light: centre and half extents `(3,)` m; `power` relative; `colour (3,)`.

    `focus`: the light falls off sideways with this power of the cosine; 1 is a panel, 8 a lamp with a reflector.
    """

    centre: NDArray
    half: NDArray
    power: float
    colour: NDArray
    focus: int = 1


def ceiling_lights(room: NDArray, rng: Rng) -> tuple[list[Light], list[Mesh]]:
    """Two lights, each a block of panels or tubes at the ceiling."""
    tint = 1 + rng.normal(0, 0.04, 3)
    lights = []
    for power in (rng.uniform(0.7, 1.3), rng.uniform(0.3, 0.9)):
        half = np.array([rng.uniform(0.5, 1.1), rng.uniform(0.3, 0.9), 0.0])
        if rng.random() < 0.5:
            half = half[[1, 0, 2]]
        centre = np.array([*rng.uniform(-0.25, 0.25, 2) * room[:2], room[2] - 0.05])
        lights.append(Light(centre, half, power, tint))
    return lights, lamps_of(lights, rng)


def lamps_of(lights: Sequence[Light], rng: Rng) -> list[Mesh]:
    """Panels or tubes at the places of ceiling lights."""
    kit = Kit()
    for light in lights:
        _panels(kit, rng, light.centre, light.half)
    return kit.meshes()


def _panels(kit: Kit, rng: Rng, centre: NDArray, half: NDArray) -> None:
    tubes = rng.random() < 0.4
    size = np.array([2 * half[0], 0.14, 0.03]) if tubes else np.array([0.58, 0.58, 0.012])
    for x in (0.0,) if tubes else np.arange(-half[0] + 0.3, half[0] + 0.01, 0.62):
        for y in np.arange(-half[1] + 0.15, half[1] + 0.01, rng.choice([0.45, 0.62])):
            place = (centre[0] + x, centre[1] + y, centre[2] + 0.015)
            kit.box((size[0] + 0.05, size[1] + 0.05, size[2]), (*place[:2], place[2] + 0.006), grey(rng, 0.7, 0.95))
            kit.box(size, place, linear(0.97, 0.98, 1.0), _LAMP)


def surgical_light(head: Mesh, rng: Rng) -> Light:
    """The light of a surgical lamp whose head is `head`: a bright pool below, nothing at all when it is off."""
    centre = np.array([*head.vertices[:, :2].mean(0), head.vertices[:, 2].min() - 0.01])
    power = rng.uniform(0.5, 3.0) if head.material.emission > 0 else 0.0
    return Light(centre, np.array([0.2, 0.2, 0.0]), power, 1 + rng.normal(0, 0.03, 3), focus=8)


def ambient_light(rng: Rng) -> NDArray:
    """`(3,)` light from everywhere."""
    return rng.uniform(0.25, 0.5) * (1 + rng.normal(0, 0.03, 3))
