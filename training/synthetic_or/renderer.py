"""Ray-traced images of a scene: Embree for the rays, numpy for the light. No OpenGL, no GPU.

Per-pixel values are kept channels first, `(3, N)` for N rays: numpy is several times faster on long last axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.cameras import Camera
from training.synthetic_or.materials import MaterialTable
from training.synthetic_or.meshes import vertex_normals
from training.synthetic_or.noise import Noise
from training.synthetic_or.scene import Scene
from training.synthetic_or.shading import Surface, shade
from training.synthetic_or.textures import Textures


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
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._scene, self._textures, self._noise = scene, textures, noise
        meshes = scene.meshes
        offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
        vertices = np.concatenate([mesh.vertices for mesh in meshes]).astype(np.float32)
        self._faces = np.concatenate([mesh.faces + o for mesh, o in zip(meshes, offsets, strict=True)]).astype(np.int32)
        colours = np.concatenate([mesh.colours for mesh in meshes])
        uv = np.concatenate([mesh.uv for mesh in meshes])
        #: `(V, 8)`: colour, normal and uv, what is interpolated over a face.
        self._attributes = np.hstack([colours, vertex_normals(vertices, self._faces), uv]).astype(np.float32)
        self._mesh_of_face = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for mesh in meshes])
        self._instance_of_mesh = np.array([mesh.instance for mesh in meshes], np.uint16)
        self._materials = MaterialTable([mesh.material for mesh in meshes])
        self._embree = EmbreeScene()
        TriangleMesh(self._embree, vertices, self._faces)

    def render(self, camera: Camera, rng: np.random.Generator) -> Rendered:
        """One view; soft shadows are sampled with `rng`."""
        width, height = camera.image_size
        pose = camera.room_from_camera.astype(np.float32)
        rays = camera.rays
        directions = rays.directions @ pose[:3, :3].T
        origins = np.broadcast_to(pose[:3, 3], directions.shape)
        hit = self._embree.run(np.ascontiguousarray(origins), directions, output=True)
        hits = np.flatnonzero(hit["primID"] >= 0)
        seen, length = rays.pixels[hits], hit["tfar"][hits]
        surface = self._surface(
            hit["primID"][hits], hit["u"][hits], hit["v"][hits], directions[hits].T, length, pose[:3, 3]
        )
        depth, distance = np.zeros((2, width * height), np.float32)
        instances = np.zeros(width * height, np.uint16)
        depth[seen], distance[seen] = length * rays.directions[hits, 2], length
        instances[seen] = self._instance_of_mesh[surface.mesh]
        radiance = np.zeros((width * height, 3), np.float32)
        radiance[seen] = shade(
            surface, self._materials, self._textures, self._noise, self._scene.lights, self._scene.ambient,
            self._embree, seen, (height, width), rng,
        ).T  # fmt: skip
        shape = (height, width)
        return Rendered(
            radiance.reshape(*shape, 3), depth.reshape(shape), instances.reshape(shape), distance.reshape(shape)
        )

    def _surface(
        self, face: NDArray, u: NDArray, v: NDArray, directions: NDArray, distance: NDArray, origin: NDArray
    ) -> Surface:
        barycentric = np.stack([1 - u - v, u, v], axis=1)
        attributes = np.einsum("nk,nkc->nc", barycentric, self._attributes[self._faces[face]])
        attributes = np.ascontiguousarray(attributes.T)
        return Surface(
            points=np.ascontiguousarray(directions * distance + origin[:, None]),
            view=np.ascontiguousarray(-directions),
            albedo=attributes[:3],
            normals=attributes[3:6],
            uv=attributes[6:],
            mesh=self._mesh_of_face[face],
        )
