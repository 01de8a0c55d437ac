"""Light on surfaces: textures, folds and wrinkles of cloth, lamps, highlights, sheen. All arrays `(C, N)`, N rays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rendering.surfaces import Surface, dot, towards, unit
from training.synthetic_or.rooms.lights import Light
from training.synthetic_or.shapes.materials import MaterialTable
from training.synthetic_or.shapes.noise import Noise
from training.synthetic_or.shapes.textures import Textures

#: Rays shaded at a time: their arrays fit into the processor's cache.
_PART = 1 << 14
#: Of the light, how much grazing fibres throw back, and which share of it has the cloth's own colour.
_SHEEN_COLOUR = 0.5


@dataclass(frozen=True)
class Shader:
    """What the light on a scene's surfaces depends on; `ambient (3,)` comes from everywhere."""

    materials: MaterialTable
    textures: Textures
    noise: Noise
    lights: Sequence[Light]
    ambient: NDArray

    def shade(self, surface: Surface, lit: NDArray) -> NDArray[np.float32]:
        """`(3, N)` radiance towards the camera, where the points see the shares `lit (L, N)` of the lights."""
        radiance = np.empty_like(surface.points)
        for start in range(0, radiance.shape[1], _PART):
            part = surface.part(start, start + _PART)
            radiance[:, start : start + _PART] = self._shade(part, lit[:, start : start + _PART])
        return radiance

    def _shade(self, surface: Surface, lit: NDArray) -> NDArray:
        materials = self.materials
        albedo = self._painted(surface)
        normals = self._bent(surface)
        light = self.ambient.astype(np.float32)[:, None] * (0.72 + 0.28 * normals[2])
        highlight = np.zeros_like(light)
        for source, share in zip(self.lights, lit, strict=True):
            # Shadow rays go to random points of the lamp, the shading to its middle: soft edges without grain.
            to_light, distance = towards(source.centre.astype(np.float32)[:, None], surface.points)
            downward = np.maximum(to_light[2], 0)
            beam = downward if source.focus == 1 else downward**source.focus
            falloff = beam / (1.0 + distance * distance)
            received = (share * falloff) * source.colour.astype(np.float32)[:, None] * np.float32(source.power * 6.0)
            light += received * np.maximum(dot(normals, to_light), 0)
            halfway = unit(to_light + surface.view)
            highlight += received * _power_40(np.maximum(dot(normals, halfway), 0))
        sheen = materials.sheen.take(surface.mesh)
        if sheen.any():
            rim = sheen * (1 - np.abs(dot(normals, surface.view))) ** 3
            albedo = albedo + rim * (_SHEEN_COLOUR * albedo + (1 - _SHEEN_COLOUR) * (1 - albedo))
        highlight *= materials.gloss.take(surface.mesh) * np.float32(0.6)
        return albedo * (light + materials.emission.take(surface.mesh)) + highlight

    def _painted(self, surface: Surface) -> NDArray:
        """Vertex colours times texture times smooth noise."""
        materials, which = self.materials, surface.textured
        albedo = surface.albedo
        if len(which):
            albedo = albedo.copy()
            texture = materials.texture.take(surface.mesh[which])
            albedo[:, which] *= self.textures.look_up(texture, surface.uv, surface.uv_step).T
        frequency = materials.noise_frequency.take(surface.mesh) * np.float32(5.0)
        wave = self.noise.values(surface.pattern * frequency + surface.mesh.astype(np.float32) * np.float32(7.3))
        return albedo * np.clip(1 + materials.noise.take(surface.mesh) * wave, 0.3, 1.7)

    def _bent(self, surface: Surface) -> NDArray:
        """Unit normals bent by the slopes of smooth noise: folds and wrinkles of cloth without geometry."""
        normals = surface.normals.copy()
        strength = self.materials.folds.take(surface.mesh)
        which = np.flatnonzero(strength)
        if len(which):
            normals[:, which] += strength[which] * self._folds(surface, which)
        strength = self.materials.wrinkle.take(surface.mesh)
        which = np.flatnonzero(strength)
        if len(which):
            normals[:, which] += strength[which] * self._creases(surface, which)
        return unit(normals)

    def _folds(self, surface: Surface, which: NDArray) -> NDArray:
        mesh = surface.mesh[which]
        scaled = surface.pattern[:, which] * self.materials.fold_scale.take(mesh, axis=0).T
        shift = mesh.astype(np.float32)
        wide = self.noise.gradients(scaled * np.float32(2.2) + shift * np.float32(3.1))
        return wide + np.float32(0.5) * self.noise.gradients(scaled * np.float32(5.3) + shift * np.float32(1.7))

    def _creases(self, surface: Surface, which: NDArray) -> NDArray:
        """Slopes of -|noise|: sharp ridges where the noise is 0; fading where they are finer than the pixels."""
        mesh = surface.mesh[which]
        scale = self.materials.wrinkle_scale.take(mesh) * np.float32(2.2)
        shift = mesh.astype(np.float32) * np.float32(5.9)
        noise = self.noise.values_and_gradients(surface.pattern[:, which] * scale + shift)
        fade = np.clip(1.5 - surface.pixel[which] * scale, 0, 1)
        return -noise[1:] * (np.clip(noise[0] * 6, -1, 1) * fade)


def _power_40(base: NDArray) -> NDArray:
    """`base ** 40` by repeated squaring: ten times faster than a general power."""
    eighth = ((base * base) ** 2) ** 2
    return ((eighth * eighth) ** 2) * eighth
