"""Bodies: the exported bank of adults, posed by 23 simplified bones, and their labelled joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix

from orpose_models.skeleton import h36m17_from_coco17
from training.synthetic_or.people.build_bodies import BONE_NAMES
from training.synthetic_or.shapes.meshes import vertex_normals

BANK_PATH = Path(__file__).with_name("bodies.npz")
BONE = {name: index for index, name in enumerate(BONE_NAMES)}

#: The top of the head above the ears.
_CROWN_M = 0.12

#: Regions of the surface, one code per vertex, that outfits paint and inflate.
FACE, HAIR, MASK, NECK, TORSO, UPPER_ARM, FOREARM, HAND, HIP, SHIN, FOOT, EYE = range(12)

_REGION_OF_BONE = {
    "pelvis": HIP, "spine": TORSO, "chest": TORSO, "neck": NECK, "head": FACE,
    "clavicle": TORSO, "upper_arm": UPPER_ARM, "forearm": FOREARM, "hand": HAND, "fingers": HAND, "fingertips": HAND,
    "thigh": HIP, "shin": SHIN, "foot": FOOT,
}  # fmt: skip


@dataclass(frozen=True)
class PosedBody:
    """One person in the room frame.

    Attributes:
        shape: Which of the bank's bodies it is.
        vertices: `(V, 3)` m, undressed.
        bone_rotations: `(B, 3, 3)` rotation of each bone from the rest pose, room axes.
        bone_heads: `(B, 3)` m, where each bone starts.
        bone_motions: `(B, 3, 4)` what each bone does to a point of the rest pose.
        coco: `(17, 3)` m, COCO-17 joints.
        h36m: `(17, 3)` m, Human3.6M-17 joints.
    """

    shape: int
    vertices: NDArray
    bone_rotations: NDArray
    bone_heads: NDArray
    bone_motions: NDArray
    coco: NDArray
    h36m: NDArray

    def moved(self, offset: NDArray) -> PosedBody:
        """The same body elsewhere, `offset (3,)` m."""
        return replace(
            self,
            vertices=self.vertices + offset.astype(np.float32),
            bone_heads=self.bone_heads + offset,
            bone_motions=self.bone_motions + np.pad(offset[:, None], ((0, 0), (3, 0))),
            coco=self.coco + offset,
            h36m=self.h36m + offset,
        )


class BodyBank:
    """The rest bodies. Rest frame: z up, the face looks along -y, the person's left is +x; metres."""

    def __init__(self, path: Path = BANK_PATH) -> None:
        with np.load(path, allow_pickle=False) as bank:
            self.faces = bank["faces"].astype(np.int32)
            self.rest_vertices = bank["rest_vertices"].astype(np.float32)
            self.bone_heads = bank["bone_heads"].astype(np.float64)
            self.parents = bank["bone_parents"].astype(int)
            self.weight_bones = bank["weight_bones"].astype(int)
            #: `(V, B)` share of each bone in a vertex' motion.
            self.weights = _dense(self.weight_bones, bank["weights"].astype(np.float32), len(self.parents))
            self.coco_rest = bank["coco_joints"].astype(np.float64)
            self.is_eye = bank["is_eye"]
            self.curl_axes = bank["curl_axes"].astype(np.float64)
            self._coco_points = bank["coco_bone_points"].astype(np.float64)
            self._coco_weights = bank["coco_bone_weights"].astype(np.float64)

    @property
    def num_shapes(self) -> int:
        return len(self.rest_vertices)

    @cached_property
    def regions(self) -> NDArray[np.uint8]:
        """`(V,)` region code of each vertex, from its main bone and, on the head, its place in the rest pose."""
        main = self.weight_bones[:, 0]
        names = [name.removeprefix("left_").removeprefix("right_") for name in BONE_NAMES]
        regions = np.array([_REGION_OF_BONE[name] for name in names], np.uint8)[main]
        vertices, coco = self.rest_vertices[0], self.coco_rest[0]
        eye_y, eye_z = coco[1:3, 1].mean(), coco[1:3, 2].mean()
        ear_y, ear_z, nose_z = coco[3:5, 1].mean(), coco[3:5, 2].mean(), coco[0, 2]
        y, z = vertices[:, 1], vertices[:, 2]
        on_head = (regions == FACE) | (regions == NECK)
        # Everything above the line from the forehead, over the ears, down to the nape is covered by hair or a cap.
        front = np.clip((ear_y - y) / (ear_y - eye_y), -1.0, 1.0)
        hairline = np.where(front > 0, ear_z + 0.015 + front * (eye_z + 0.035 - ear_z - 0.015), ear_z + front * 0.06)
        regions[on_head & (z > hairline)] = HAIR
        mask = on_head & (y < ear_y - 0.03) & (z < nose_z + 0.015) & (z > nose_z - 0.105)
        regions[mask & (regions != HAIR)] = MASK
        regions[self.is_eye] = EYE
        return regions

    def pose(self, shape: int, local_rotations: NDArray, pelvis_position: NDArray) -> PosedBody:
        """Poses one body by forward kinematics and linear blend skinning.

        Args:
            shape: Index of the rest body.
            local_rotations: `(B, 3, 3)`; each bone turns by it about its own start, in the axes of its parent.
                The pelvis' entry is its rotation in the room.
            pelvis_position: `(3,)` m, room frame.
        """
        heads = self.bone_heads[shape]
        rotations = np.empty((len(heads), 3, 3))
        positions = np.empty((len(heads), 3))
        for bone, parent in enumerate(self.parents):
            if parent < 0:
                rotations[bone], positions[bone] = local_rotations[bone], pelvis_position
            else:
                rotations[bone] = rotations[parent] @ local_rotations[bone]
                positions[bone] = positions[parent] + rotations[parent] @ (heads[bone] - heads[parent])
        offsets = positions - np.einsum("bij,bj->bi", rotations, heads)
        motions = np.concatenate([rotations, offsets[:, :, None]], axis=2)
        vertices = skinned(self.rest_vertices[shape], self._sparse_weights, motions)
        points, weights = self._coco_points[shape], self._coco_weights
        coco = np.einsum("bij,kbj->ki", rotations, points, optimize=True) + weights @ offsets
        return PosedBody(shape, vertices, rotations, positions, motions, coco, self._h36m(rotations, coco))

    @cached_property
    def _sparse_weights(self) -> csr_matrix:
        return csr_matrix(self.weights)

    @cached_property
    def _neighbours(self) -> csr_matrix:
        """`(V, V)` takes the mean over each vertex' neighbours."""
        a, b = np.concatenate([self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]]).T
        size = len(self.is_eye)
        joined = coo_matrix((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), (size, size)).tocsr()
        joined.data[:] = 1.0
        return joined.multiply(1.0 / np.maximum(joined.sum(1), 1)).tocsr().astype(np.float32)

    @lru_cache(maxsize=256)  # noqa: B019 one bank a process
    def smooth_rest(self, shape: int, rounds: int) -> tuple[NDArray, NDArray]:
        """`(V, 3)` m: the rest body without its details, what loose cloth sees of it, and its normals."""
        vertices = self.rest_vertices[shape]
        for _ in range(rounds):
            vertices = np.float32(0.4) * vertices + np.float32(0.6) * (self._neighbours @ vertices)
        return vertices, vertex_normals(vertices, self.faces).astype(np.float32)

    @staticmethod
    def _h36m(rotations: NDArray, coco: NDArray) -> NDArray:
        """Human3.6M-17 from COCO-17; only the top of the head comes from the head bone."""
        h36m = h36m17_from_coco17(coco)
        h36m[10] = h36m[9] + rotations[BONE["head"]] @ np.array([0.0, 0.0, _CROWN_M])
        return h36m


def skinned(rest_vertices: NDArray, weights: csr_matrix, motions: NDArray) -> NDArray:
    """`(V, 3)` m: vertices `(V, 3)` moved by the mean of their bones' motions `(B, 3, 4)`, weighted by `(V, B)`.

    The weights are sparse: four bones a vertex, and no threads of a linear algebra library, which would cost more
    than they give where each core has its own worker."""
    x, y, z = np.ascontiguousarray(rest_vertices.T, np.float32)
    blended = np.ascontiguousarray((weights @ motions.reshape(len(motions), 12).astype(np.float32)).T)
    moved = np.empty((len(x), 3), np.float32)
    for axis in range(3):  # rows of 12: what each vertex' x, y, z and 1 count for in this axis
        row = blended[4 * axis : 4 * axis + 4]
        moved[:, axis] = row[0] * x + row[1] * y + row[2] * z + row[3]
    return moved


def _dense(bones: NDArray, weights: NDArray, num_bones: int) -> NDArray[np.float32]:
    dense = np.zeros((len(bones), num_bones), np.float32)
    np.put_along_axis(dense, bones, weights, axis=1)
    return dense


def rotation_about(axis: str, degrees: float) -> NDArray:
    """`(3, 3)` rotation about a coordinate axis ("x", "y" or "z")."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    rotation = np.eye(3)
    rotation[first, first] = rotation[second, second] = c
    rotation[second, first], rotation[first, second] = s, -s
    return rotation


def frame_from(primary: NDArray, secondary: NDArray) -> NDArray:
    """`(3, 3)` right-handed frame: first column along `primary`, second in the plane of both."""
    first = primary / np.linalg.norm(primary)
    second = secondary - first * (first @ secondary)
    norm = np.linalg.norm(second)
    if norm < 1e-6:
        helper = np.eye(3)[np.argmin(np.abs(first))]
        second = helper - first * (first @ helper)
        norm = np.linalg.norm(second)
    second = second / norm
    return np.stack([first, second, np.cross(first, second)], axis=1)
