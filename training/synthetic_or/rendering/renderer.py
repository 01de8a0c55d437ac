"""Ray-traced images of a scene: Embree for the rays, numpy for the light. No OpenGL, no GPU."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.rendering.antialias import smooth_edges
from training.synthetic_or.rendering.geometry import Geometry, Hits
from training.synthetic_or.rendering.reflections import mirrored
from training.synthetic_or.rendering.shading import Shader
from training.synthetic_or.rendering.shadows import hard_shares, lit_shares
from training.synthetic_or.rendering.surfaces import Surface
from training.synthetic_or.rooms.cameras import Camera
from training.synthetic_or.scenes.scene import Scene
from training.synthetic_or.shapes.materials import MaterialTable
from training.synthetic_or.shapes.noise import Noise
from training.synthetic_or.shapes.textures import Textures

#: Surfaces less opaque than this are glass: depth and instance ids are those of what lies behind.
_GLASS = 0.5
#: How much of each lamp things see that are only mirrored: no shadow rays for these.
_MIRRORED_LIGHT = 0.7


@dataclass(frozen=True)
class Rendered:
    """One view.

    Attributes:
        linear_rgb: `(H, W, 3)` radiance.
        depth_m: `(H, W)` along the optical axis, 0 where there is nothing.
        instances: `(H, W)` instance of the person seen, 0 for everything else.
        distance_m: `(H, W)` along the pixel's ray, 0 where there is nothing.
    """

    linear_rgb: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    instances: NDArray[np.uint16]
    distance_m: NDArray[np.float32]


class Renderer:
    """A scene's geometry in Embree, to be rendered from any number of cameras."""

    def __init__(self, scene: Scene, textures: Textures, noise: Noise) -> None:
        meshes = scene.meshes
        self._instances = np.array([mesh.instance for mesh in meshes], np.uint16)
        self._patterned = np.array([mesh.pattern is not None for mesh in meshes])
        self._materials = MaterialTable([mesh.material for mesh in meshes])
        self._shader = Shader(self._materials, textures, noise, scene.lights, scene.ambient)
        solid, clear = np.flatnonzero(self._materials.alpha >= 1), np.flatnonzero(self._materials.alpha < 1)
        self._solid = Geometry([meshes[k] for k in solid], solid)
        self._clear = Geometry([meshes[k] for k in clear], clear) if len(clear) else None

    def render(self, camera: Camera, rng: np.random.Generator) -> Rendered:
        """One view; soft shadows are sampled with `rng`."""
        view = _View(camera)
        hits, pixels = self._first_hits(view)
        surface = self._surface(self._solid, hits, view)
        radiance = self._shaded(surface, pixels, camera, rng)
        self._add_mirrored(radiance, surface, pixels, camera)
        view.radiance[pixels] = radiance.T
        self._smooth_edges(view)
        if self._clear is not None:
            self._add_clear(self._clear, view, rng)
        return view.finished(self._instances)

    def glimpse(self, camera: Camera) -> Rendered:
        """A black picture with depth, distance and instances: quick, to see whether a view is worth rendering."""
        view = _View(camera)
        self._first_hits(view)
        return view.finished(self._instances)

    def _first_hits(self, view: _View) -> tuple[Hits, NDArray[np.int64]]:
        """What is seen of everything but glass, and the pixels that see it; noted down in `view`."""
        hits = self._solid.trace(view.origins(slice(None)), view.directions)
        pixels = view.camera.rays.pixels[hits.rays]
        view.lengths[pixels], view.meshes[pixels] = hits.length, self._solid.meshes_of(hits)
        return hits, pixels

    def _surface(self, geometry: Geometry, hits: Hits, view: _View) -> Surface:
        directions = np.ascontiguousarray(view.directions[hits.rays].T)
        return Surface.at(
            geometry, hits, self._materials, view.origin[:, None], directions, 1 / view.camera.fx, self._patterned
        )

    def _shaded(self, surface: Surface, pixels: NDArray, camera: Camera, rng: np.random.Generator) -> NDArray:
        lit = lit_shares(self._solid, surface, self._shader.lights, pixels, camera.image_size[0], rng)
        return self._shader.shade(surface, lit)

    def _add_mirrored(self, radiance: NDArray, surface: Surface, pixels: NDArray, camera: Camera) -> None:
        mirror = self._materials.mirror.take(surface.mesh)
        if not mirror.any():
            return

        def look(origins: NDArray, directions: NDArray) -> tuple[NDArray, NDArray]:
            hits = self._solid.trace(origins, directions)
            starts, along = (np.ascontiguousarray(rays[hits.rays].T) for rays in (origins, directions))
            seen = Surface.at(self._solid, hits, self._materials, starts, along, 8 / camera.fx, self._patterned)
            lit = np.full((len(self._shader.lights), len(hits.rays)), _MIRRORED_LIGHT, np.float32)
            return self._shader.shade(seen, lit), hits.rays

        which, share, light = mirrored(surface, mirror, pixels, camera.image_size, look)
        radiance[:, which] += share * (light - radiance[:, which])

    def _smooth_edges(self, view: _View) -> None:
        def look(directions: NDArray) -> tuple[Hits, NDArray]:
            rays = view.turned(directions)
            hits = self._solid.trace(np.broadcast_to(view.origin, rays.shape), rays)
            return hits, self._solid.meshes_of(hits)

        def shade(directions: NDArray, hits: Hits) -> NDArray:
            rays = np.ascontiguousarray(view.turned(directions[hits.rays]).T)
            surface = Surface.at(
                self._solid, hits, self._materials, view.origin[:, None], rays, 1 / view.camera.fx, self._patterned
            )
            return self._shader.shade(surface, hard_shares(self._solid, surface, self._shader.lights)).T

        smooth_edges(view.radiance, view.meshes, view.lengths, view.camera, look, shade)

    def _add_clear(self, geometry: Geometry, view: _View, rng: np.random.Generator) -> None:
        """Lays the nearest see-through surface over what is behind it."""
        rays = view.rays_at(geometry.vertices)
        hits = geometry.trace(view.origins(rays), view.directions[rays])
        hits = Hits(rays[hits.rays], hits.face, hits.weights, hits.length)
        pixels = view.camera.rays.pixels[hits.rays]
        behind = view.lengths[pixels]
        nearer = np.flatnonzero((hits.length < behind) | (behind == 0))
        hits, pixels = hits[nearer], pixels[nearer]
        surface = self._surface(geometry, hits, view)
        alpha = self._materials.alpha.take(surface.mesh)
        # Glass reflects the more the flatter one looks at it.
        cosine = np.abs(np.einsum("cn,cn->n", surface.normals, surface.view))
        opacity = alpha + (1 - alpha) * (1 - np.minimum(cosine, 1)) ** 4
        shown = self._shaded(surface, pixels, view.camera, rng).T * opacity[:, None]
        view.radiance[pixels] = view.radiance[pixels] * (1 - opacity[:, None]) + shown
        seen = np.flatnonzero(alpha >= _GLASS)
        view.lengths[pixels[seen]], view.meshes[pixels[seen]] = hits.length[seen], surface.mesh[seen]


class _View:
    """The picture in the making: per pixel the radiance, the length of the ray and the mesh it hits, -1 for none."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        pose = camera.room_from_camera.astype(np.float32)
        self.origin = np.ascontiguousarray(pose[:3, 3])
        self.directions = self.turned(camera.rays.directions)
        pixels = camera.image_size[0] * camera.image_size[1]
        self.radiance = np.zeros((pixels, 3), np.float32)
        self.lengths, self.meshes = np.zeros(pixels, np.float32), np.full(pixels, -1, np.int32)

    def turned(self, directions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Directions `(K, 3)` of the camera frame in the room's.

        By cv2.transform instead of a matrix product, which would wake the threads of the linear algebra library.
        """
        return np.asarray(cv2.transform(directions[None], self.camera.room_from_camera[:3, :3].astype(np.float32))[0])

    def origins(self, rays: NDArray | slice) -> NDArray:
        return np.broadcast_to(self.origin, self.directions[rays].shape)

    def rays_at(self, points: NDArray) -> NDArray[np.int64]:
        """The rays whose pixels lie in the rectangle around `points (N, 3)`; all of them if some are out of sight."""
        width = self.camera.image_size[0]
        spots = self.camera.project(self.camera.camera_points_from_room(points))
        if not np.isfinite(spots).all():
            return np.arange(len(self.directions))
        low, high = np.floor(spots.min(0)) - 1, np.ceil(spots.max(0)) + 1
        row, column = self.camera.rays.pixels // width, self.camera.rays.pixels % width
        return np.flatnonzero((column >= low[0]) & (column <= high[0]) & (row >= low[1]) & (row <= high[1]))

    def finished(self, instances: NDArray[np.uint16]) -> Rendered:
        """The render, where mesh k belongs to `instances[k]`."""
        width, height = self.camera.image_size
        shape, rays = (height, width), self.camera.rays
        depth = np.zeros(height * width, np.float32)
        depth[rays.pixels] = self.lengths[rays.pixels] * rays.directions[:, 2]
        found = np.append(instances, np.uint16(0)).take(self.meshes)  # mesh -1 takes the last one
        return Rendered(
            self.radiance.reshape(*shape, 3), depth.reshape(shape), found.reshape(shape), self.lengths.reshape(shape)
        )
