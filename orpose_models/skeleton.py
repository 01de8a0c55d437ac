"""Joint conventions and the conversions between them: COCO-17 (2D), Human3.6M-17 (3D) and MVOR-10.

Every array here has joints on the second to last axis and coordinates on the last one: `(..., J, D)`.
"Left" and "right" are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Skeleton:
    """A joint convention.

    Attributes:
        name: Short name, used in messages and files.
        joint_names: J names, in array order.
        limbs: Pairs of joint indices to draw as a line.
        flip: Permutation of J indices that exchanges left and right.
        root: Index of the joint that 3D coordinates are relative to, -1 for none.
    """

    name: str
    joint_names: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    flip: tuple[int, ...]
    root: int = -1

    @property
    def num_joints(self) -> int:
        return len(self.joint_names)

    def index(self, joint_name: str) -> int:
        return self.joint_names.index(joint_name)


def _flip_from_names(names: tuple[str, ...]) -> tuple[int, ...]:
    def mirrored(name: str) -> str:
        if name.startswith("left_"):
            return "right_" + name.removeprefix("left_")
        if name.startswith("right_"):
            return "left_" + name.removeprefix("right_")
        return name

    return tuple(names.index(mirrored(name)) for name in names)


_COCO_NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
COCO17 = Skeleton(
    name="coco17",
    joint_names=_COCO_NAMES,
    limbs=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
        (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    flip=_flip_from_names(_COCO_NAMES),
)  # fmt: skip

_H36M_NAMES = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "thorax", "neck", "head", "head_top",
    "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
H36M17 = Skeleton(
    name="h36m17",
    joint_names=_H36M_NAMES,
    limbs=(
        (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10),
        (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16),
    ),
    flip=_flip_from_names(_H36M_NAMES),
    root=0,
)  # fmt: skip

_MVOR_NAMES = (
    "head", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
MVOR10 = Skeleton(
    name="mvor10",
    joint_names=_MVOR_NAMES,
    limbs=((0, 1), (1, 2), (1, 3), (2, 6), (6, 8), (3, 7), (7, 9), (2, 4), (3, 5), (4, 5)),
    flip=_flip_from_names(_MVOR_NAMES),
)

#: COCO's per-joint standard deviations for the object keypoint similarity (pycocotools' `kpt_oks_sigmas`).
COCO17_SIGMAS: NDArray[np.float64] = np.array(
    [.26, .25, .25, .35, .35, .79, .79, .72, .72, .62, .62, 1.07, 1.07, .87, .87, .89, .89]
) / 10.0  # fmt: skip

#: Human3.6M-17 joints as weighted means of COCO-17 joints (public code of Srivastav 2020): name -> COCO indices.
#: Thorax = mean of pelvis and neck = the four torso joints; head and head-top = mean of the ears.
H36M17_SOURCES: tuple[tuple[int, ...], ...] = (
    (11, 12), (12,), (14,), (16,), (11,), (13,), (15,),
    (5, 6, 11, 12), (5, 6), (3, 4), (3, 4),
    (5,), (7,), (9,), (6,), (8,), (10,),
)  # fmt: skip

#: MVOR-10 joints in Human3.6M-17 order (Srivastav 2020).
MVOR10_FROM_H36M17: tuple[int, ...] = (9, 8, 11, 14, 4, 1, 12, 15, 13, 16)


def _h36m17_from_coco17_matrix() -> NDArray[np.float64]:
    matrix = np.zeros((17, 17))
    for row, sources in enumerate(H36M17_SOURCES):
        matrix[row, list(sources)] = 1.0 / len(sources)
    return matrix


#: `(17, 17)`: `H36M17_FROM_COCO17 @ coco_xy` gives the Human3.6M-17 coordinates.
H36M17_FROM_COCO17: NDArray[np.float64] = _h36m17_from_coco17_matrix()


def h36m17_from_coco17(coco_xy: NDArray) -> NDArray:
    """Human3.6M-17 coordinates `(..., 17, D)` from COCO-17 coordinates `(..., 17, D)`, any unit and frame."""
    _require_joints(coco_xy, 17, "coco17")
    return np.einsum("hc,...cd->...hd", H36M17_FROM_COCO17, coco_xy)


def h36m17_scores_from_coco17(coco_scores: NDArray) -> NDArray:
    """Scores `(..., 17)` of Human3.6M joints: the lowest score of the COCO joints each one is made of."""
    if coco_scores.shape[-1] != 17:
        raise ValueError(f"coco_scores: expected shape (..., 17), got {coco_scores.shape}")
    return np.stack([coco_scores[..., list(sources)].min(-1) for sources in H36M17_SOURCES], axis=-1)


def mvor10_from_h36m17(h36m: NDArray) -> NDArray:
    """MVOR-10 coordinates `(..., 10, D)` from Human3.6M-17 coordinates `(..., 17, D)`."""
    _require_joints(h36m, 17, "h36m17")
    return h36m[..., list(MVOR10_FROM_H36M17), :]


def mvor10_from_coco17(coco: NDArray) -> NDArray:
    """MVOR-10 coordinates `(..., 10, D)` from COCO-17 coordinates `(..., 17, D)`, by way of Human3.6M-17."""
    return mvor10_from_h36m17(h36m17_from_coco17(coco))


def flip_horizontally(keypoints: NDArray, width: float, skeleton: Skeleton = COCO17) -> NDArray:
    """Keypoints `(..., J, D)` of the mirrored image: x becomes `width - x` px (pixel edges), left and right swap.

    Further coordinates (y, score) go along with their joint.
    """
    _require_joints(keypoints, skeleton.num_joints, skeleton.name)
    flipped = keypoints[..., list(skeleton.flip), :].copy()
    flipped[..., 0] = width - flipped[..., 0]
    return flipped


def _require_joints(keypoints: NDArray, num_joints: int, name: str) -> None:
    if keypoints.ndim < 2 or keypoints.shape[-2] != num_joints:
        raise ValueError(f"{name} keypoints: expected shape (..., {num_joints}, D), got {keypoints.shape}")
