"""Bodies: the exported bank of adults, posed by 19 simplified bones, and their labelled joints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from orpose_models.skeleton import h36m17_from_coco17
from training.synthetic_or.build_bodies import BONE_NAMES

BANK_PATH = Path(__file__).with_name("bodies.npz")
BONE = {name: index for index, name in enumerate(BONE_NAMES)}

#: The top of the head above the ears.
_CROWN_M = 0.12

#: Regions of the surface, one code per vertex, that outfits paint and inflate.
FACE, HAIR, MASK, NECK, TORSO, UPPER_ARM, FOREARM, HAND, HIP, SHIN, FOOT, EYE = range(12)

_REGION_OF_BONE = {
    "pelvis": HIP, "spine": TORSO, "chest": TORSO, "neck": NECK, "head": FACE,
    "clavicle": TORSO, "upper_arm": UPPER_ARM, "forearm": FOREARM, "hand": HAND,
    "thigh": HIP, "shin": SHIN, "foot": FOOT,
}  # fmt: skip


@dataclass(frozen=True)
class PosedBody:
    """One person in the room frame.

    Attributes:
        vertices: `(V, 3)` m, undressed.
        bone_rotations: `(19, 3, 3)` rotation of each bone from the rest pose, room axes.
        bone_heads: `(19, 3)` m, where each bone starts.
        coco: `(17, 3)` m, COCO-17 joints.
        h36m: `(17, 3)` m, Human3.6M-17 joints.
    """

    vertices: NDArray
    bone_rotations: NDArray
    bone_heads: NDArray
    coco: NDArray
    h36m: NDArray


class BodyBank:
    """The rest bodies. Rest frame: z up, the face looks along -y, the person's left is +x; metres."""

    def __init__(self, path: Path = BANK_PATH) -> None:
        with np.load(path, allow_pickle=False) as bank:
            self.faces = bank["faces"].astype(np.int32)
            self.rest_vertices = bank["rest_vertices"].astype(np.float32)
            self.bone_heads = bank["bone_heads"].astype(np.float64)
            self.parents = bank["bone_parents"].astype(int)
            self.weight_bones = bank["weight_bones"].astype(int)
            self.weights = bank["weights"].astype(np.float32)
            self.coco_rest = bank["coco_joints"].astype(np.float64)
            self.is_eye = bank["is_eye"]
            self._coco = (bank["coco_joint"], bank["coco_vertex"].astype(int), bank["coco_weight"])

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
            local_rotations: `(19, 3, 3)`; each bone turns by it about its own start, in the axes of its parent.
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
        vertices = self.skin(shape, rotations, positions)
        return self._with_joints(vertices, rotations, positions)

    def skin(self, shape: int, rotations: NDArray, positions: NDArray) -> NDArray:
        """`(V, 3)` m: every vertex moved by the weighted mean of its bones' motions."""
        offsets = positions - np.einsum("bij,bj->bi", rotations, self.bone_heads[shape])
        motion = np.concatenate([rotations, offsets[:, :, None]], axis=2).astype(np.float32)
        blended = np.einsum("vk,vkij->vij", self.weights, motion[self.weight_bones])
        return np.einsum("vij,vj->vi", blended[:, :, :3], self.rest_vertices[shape]) + blended[:, :, 3]

    def _with_joints(self, vertices: NDArray, rotations: NDArray, positions: NDArray) -> PosedBody:
        joint, vertex, weight = self._coco
        coco = np.zeros((17, 3))
        np.add.at(coco, joint, weight[:, None] * vertices[vertex])
        return PosedBody(vertices, rotations, positions, coco, self._h36m(rotations, coco))

    @staticmethod
    def _h36m(rotations: NDArray, coco: NDArray) -> NDArray:
        """Human3.6M-17 from COCO-17; only the top of the head comes from the head bone."""
        h36m = h36m17_from_coco17(coco)
        h36m[10] = h36m[9] + rotations[BONE["head"]] @ np.array([0.0, 0.0, _CROWN_M])
        return h36m


def rotation_about(axis: str, degrees: float) -> NDArray:
    """`(3, 3)` rotation about a coordinate axis ("x", "y" or "z")."""
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix()


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
