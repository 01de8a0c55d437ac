"""Ray-traced images of a scene: Embree for the rays, numpy for the light. No OpenGL, no GPU."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.cameras import Camera
from training.synthetic_or.meshes import Material, vertex_normals
from training.synthetic_or.scene import Scene
from training.synthetic_or.textures import SIZE, Textures, sample_volume

_OFFSET = 2e-3  # shadow rays start this far off the surface (m)


@dataclass(frozen=True)
class Rendered:
    """One view: `linear_rgb (H, W, 3)` radiance, `depth_m (H, W)` along the optical axis (0 = none), `instances (H, W)`."""

    linear_rgb: NDArray[np.float32]
    depth_m: NDArray[np.float32]
    instances: NDArray[np.uint16]


class Renderer:
    """A scene's geometry in Embree, to be rendered from any number of cameras."""

    def __init__(self, scene: Scene, textures: Textures, noise: tuple[NDArray, NDArray]) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._textures, self._noise = textures, noise
        self._lights, self._ambient = scene.lights, scene.ambient
        meshes = scene.meshes
        offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
        self._vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float32)
        self._faces = np.concatenate([mesh.faces + o for mesh, o in zip(meshes, offsets, strict=True)]).astype(np.int32)
        self._colours = np.concatenate([mesh.colours for mesh in meshes]).astype(np.float32)
        self._uv = np.concatenate([mesh.uv for mesh in meshes]).astype(np.float32)
        self._normals = vertex_normals(self._vertices, self._faces).astype(np.float32)
        self._mesh_of_face = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for mesh in meshes])
        self._instance_of_mesh = np.array([mesh.instance for mesh in meshes], np.uint16)
        self._materials = _MaterialTable([mesh.material for mesh in meshes])
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, self._vertices, self._faces)

    def render(self, camera: Camera, rng: np.random.Generator) -> Rendered:
        """One view; soft shadows are sampled with `rng`."""
        width, height = camera.image_size
        rays = camera.pixel_rays()
        directions = (rays @ camera.room_from_camera[:3, :3].T).astype(np.float32)
        origins = np.broadcast_to(camera.room_from_camera[:3, 3].astype(np.float32), directions.shape)
        hit = self._scene.run(np.ascontiguousarray(origins), directions, output=True)
        face = hit["primID"]
        seen = np.flatnonzero(face >= 0)
        face = face[seen]
        distance = hit["tfar"][seen]
        barycentric = np.stack([1 - hit["u"][seen] - hit["v"][seen], hit["u"][seen], hit["v"][seen]], 1).astype(
            np.float32
        )
        points = origins[seen] + directions[seen] * distance[:, None]
        radiance = np.zeros((width * height, 3), np.float32)
        radiance[seen] = self._shade(points, directions[seen], face, barycentric, seen, (height, width), rng)
        depth = np.zeros(width * height, np.float32)
        depth[seen] = distance  # the rays have z = 1 in the camera frame, so their length parameter is the depth
        instances = np.zeros(width * height, np.uint16)
        instances[seen] = self._instance_of_mesh[self._mesh_of_face[face]]
        return Rendered(
            radiance.reshape(height, width, 3), depth.reshape(height, width), instances.reshape(height, width)
        )

    def _shade(
        self, points: NDArray, directions: NDArray, face: NDArray, barycentric: NDArray, seen: NDArray,
        shape: tuple[int, int], rng: np.random.Generator,
    ) -> NDArray:  # fmt: skip
        mesh = self._mesh_of_face[face]
        corners = self._faces[face]
        albedo = np.einsum("nk,nkc->nc", barycentric, self._colours[corners])
        normals = np.einsum("nk,nkc->nc", barycentric, self._normals[corners])
        albedo = self._textured(albedo, corners, barycentric, mesh, points)
        normals = self._folded(normals, mesh, points)
        away = (normals * directions).sum(1) > 0
        normals[away] *= -1
        view = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
        light = self._ambient.astype(np.float32) * (0.72 + 0.28 * normals[:, 2:3])
        gloss = self._materials.gloss[mesh]
        highlight = np.zeros((len(points), 3), np.float32)
        geometric = points + normals * _OFFSET + view * _OFFSET
        for source in self._lights:
            # The shadow ray goes to a random point of the lamp, the shading to its middle: soft edges without grain.
            to_light, distance = _towards(source.centre + source.half * _light_samples(seen, shape, rng), points)
            blocked = self._scene.run(
                np.ascontiguousarray(geometric, np.float32), np.ascontiguousarray(to_light),
                dists=np.ascontiguousarray(distance - 0.06, np.float32), query="OCCLUDED",
            )  # fmt: skip
            to_light, distance = _towards(source.centre, points)
            visible = _smooth((blocked == -1).astype(np.float32), seen, shape)
            falloff = source.power * 6.0 / (1.0 + distance**2) * np.clip(to_light[:, 2], 0, 1)
            cosine = np.clip((normals * to_light).sum(1), 0, None)
            colour = source.colour.astype(np.float32)
            light = light + (visible * falloff * cosine)[:, None] * colour
            half = to_light + view
            half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-6)
            shine = np.clip((normals * half).sum(1), 0, None) ** 40
            highlight += (visible * falloff * shine * gloss)[:, None] * colour
        emission = self._materials.emission[mesh][:, None] * albedo
        return albedo * light + highlight * 0.6 + emission

    def _textured(
        self, albedo: NDArray, corners: NDArray, barycentric: NDArray, mesh: NDArray, points: NDArray
    ) -> NDArray:
        texture = self._materials.texture[mesh]
        which = np.flatnonzero(texture >= 0)
        if len(which):
            uv = np.einsum("nk,nkc->nc", barycentric[which], self._uv[corners[which]])
            place = (np.mod(uv, 1.0) * (SIZE - 1)).astype(int)
            albedo[which] *= self._textures.stack[texture[which], place[:, 1], place[:, 0]]
        frequency = self._materials.noise_frequency[mesh][:, None] * 5.0
        wave = sample_volume(self._noise[0], points * frequency + mesh[:, None] * 7.3)
        return albedo * np.clip(1.0 + self._materials.noise[mesh] * wave, 0.3, 1.7)[:, None]

    def _folded(self, normals: NDArray, mesh: NDArray, points: NDArray) -> NDArray:
        """Bends the shading normals by the gradient of smooth noise: folds of cloth without geometry."""
        strength = self._materials.folds[mesh]
        which = np.flatnonzero(strength > 0)
        if len(which):
            scale = self._materials.fold_scale[mesh[which]]
            gradient = sample_volume(self._noise[1], points[which] * scale * 2.2 + mesh[which, None] * 3.1)
            gradient += 0.5 * sample_volume(self._noise[1], points[which] * scale * 5.3 + mesh[which, None] * 1.7)
            normals[which] += gradient * strength[which, None]
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)


class _MaterialTable:
    def __init__(self, materials: list[Material]) -> None:
        self.texture = np.array([m.texture for m in materials])
        self.noise = np.array([m.noise for m in materials], np.float32)
        self.noise_frequency = np.array([m.noise_frequency for m in materials], np.float32)
        self.folds = np.array([m.folds for m in materials], np.float32)
        self.fold_scale = np.array([m.fold_scale for m in materials], np.float32)
        self.gloss = np.array([m.gloss for m in materials], np.float32)
        self.emission = np.array([m.emission for m in materials], np.float32)


def _towards(target: NDArray, points: NDArray) -> tuple[NDArray, NDArray]:
    """Unit directions `(N, 3)` and distances `(N,)` m from points to target."""
    offset = (target - points).astype(np.float32)
    distance = np.linalg.norm(offset, axis=1)
    return offset / np.maximum(distance, 1e-6)[:, None], distance


def _light_samples(seen: NDArray, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
    """`(N, 3)` in [-1, 1]: each pixel of a 3x3 block looks at its own ninth of the lamp, so that the 3x3 mean sees all of it."""
    rows, columns = np.divmod(seen, shape[1])
    ninth = rng.permutation(9)[(rows % 3) * 3 + columns % 3]
    cell = np.stack([ninth % 3, ninth // 3], axis=1)
    samples = np.zeros((len(seen), 3))
    samples[:, :2] = (cell + 0.5) / 1.5 - 1.0 + rng.uniform(-0.12, 0.12, (len(seen), 2))
    return samples


def _smooth(values: NDArray, seen: NDArray, shape: tuple[int, int]) -> NDArray:
    """Averages one shadow sample a pixel over its neighbours: soft edges for the price of one ray."""
    picture = np.ones(shape[0] * shape[1], np.float32)
    picture[seen] = values
    return cv2.blur(picture.reshape(shape), (3, 3)).ravel()[seen]
