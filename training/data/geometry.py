"""Geometric augmentation: one affine warp of the image, its 2D labels and (where the warp has a 3D meaning) its 3D."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.network.lifter import FRAME_LINES
from orpose_models.runtime.letterbox import PADDING_BGR
from orpose_models.skeleton import COCO17, H36M17
from training.data.augment_config import AugmentConfig
from training.data.sample import Sample

#: The sides of a person's crop, as top-down networks read it, over the box's.
CROP_PADDING = 1.25
COCO_FLIP = list(COCO17.flip)
H36M_FLIP = list(H36M17.flip)


def letterbox_matrix(image_size: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """`(2, 3)` affine, pixel edges: scales (w, h) into `size`, keeping the aspect ratio, centred."""
    scale = min(size[0] / image_size[0], size[1] / image_size[1])
    return np.array([
        [scale, 0, (size[0] - scale * image_size[0]) / 2],
        [0, scale, (size[1] - scale * image_size[1]) / 2],
    ])  # fmt: skip


def lifter_matrix(image_size: tuple[int, int], input_size: tuple[int, int]) -> NDArray[np.float64]:
    """`(2, 3)` affine from image px to the px that a network's lifters count in, of a frame of 480 lines.

    That frame is the network's input, into which the image is letterboxed: a 16:9 image fills 360 lines of a 4:3 one.
    Sizes are (w, h) px.
    """
    return letterbox_matrix(image_size, input_size) * (FRAME_LINES / input_size[1])


def moved_points(points: NDArray, matrix: NDArray) -> NDArray[np.float64]:
    """Points `(..., 2)` after an affine `(2, 3)`."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def random_warp(sample: Sample, size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator) -> Sample:
    """The sample at `size` (w, h) after a random flip, zoom, stretch, shift and rotation."""
    height, width = sample.image.shape[:2]
    flip = rng.random() < config.flip_probability
    angle = math.radians(rng.uniform(-1, 1) * config.rotation_deg)
    if config.rotation_sigma_deg > 0:
        angle += math.radians(float(np.clip(rng.normal(), -2, 2)) * config.rotation_sigma_deg)
    zoom = math.exp(rng.uniform(*np.log(config.zoom)))
    stretch = math.exp(rng.uniform(-1, 1) * config.stretch / 2)
    # zooming in moves the window anywhere inside the image, so that people at the border are seen large too
    room = np.maximum(zoom - 1, 0) / 2 + config.translate
    shift = rng.uniform(-1, 1, 2) * room * np.array(size)
    towards = config.towards_people > 0 and rng.random() < config.towards_people
    linear = _rotation(angle) @ np.diag([zoom * stretch, zoom / stretch])
    if flip:
        linear = linear @ np.diag([-1.0, 1.0])
    centre, letterbox = np.array(size) / 2, letterbox_matrix((width, height), size)
    people = warp_boxes(sample.boxes[~sample.crowd], letterbox)
    if towards and len(people):
        shift = _shift_to_one(people, linear, room, size, rng)
    about_centre = np.column_stack([linear, centre + shift - linear @ centre])
    matrix = _compose(about_centre, letterbox)
    warped = warp_sample(sample, matrix, size, angle=angle, flip=flip, border=_border(rng))
    return ignore_cut_boxes(warped, _box_areas(warp_boxes(sample.boxes, matrix)), config)


def _shift_to_one(
    people: NDArray, linear: NDArray, room: NDArray, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The shift (px) that brings one of the boxes `(N, 4)` near the middle, as far as the image reaches."""
    box = people[rng.integers(len(people))]
    centre = np.array(size) / 2
    wanted = rng.uniform(-0.3, 0.3, 2) * np.array(size)
    return (wanted - linear @ ((box[:2] + box[2:]) / 2 - centre)).clip(-room * np.array(size), room * np.array(size))


def warp_sample(
    sample: Sample, matrix: NDArray, size: tuple[int, int], *, angle: float, flip: bool, border: tuple[int, ...]
) -> Sample:
    """Applies an affine `(2, 3)` in pixel edges; `angle` (rad) and `flip` are its parts that turn the 3D joints."""
    width, height = size
    boxes = warp_boxes(sample.boxes, matrix)
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    return replace(
        sample,
        image=_warp_image(sample.image, matrix, size, border),
        boxes=boxes,
        soft=_warp_joints(sample.soft, matrix, size, flip),
        hard=_warp_joints(sample.hard, matrix, size, flip),
        soft_3d=_turn_joints(sample.soft_3d, angle, flip),
        hard_3d=_turn_joints(sample.hard_3d, angle, flip),
        joint_weight=sample.joint_weight[:, COCO_FLIP] if flip else sample.joint_weight,
    )


def warp_boxes(boxes: NDArray, matrix: NDArray) -> NDArray[np.float32]:
    """Boxes `(N, 4)` around the warped ELLIPSES that the boxes hold: people do not fill their box's corners."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    half = np.sqrt(((boxes[:, 2:] - boxes[:, :2]) / 2) ** 2 @ (matrix[:, :2].T ** 2))
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def ignore_cut_boxes(sample: Sample, areas_before_cut: NDArray, config: AugmentConfig) -> Sample:
    """Boxes that the border cut nearly away, or that are tiny, become ignored regions; empty ones go."""
    boxes = sample.boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    tiny = sides.min(axis=1) < config.min_box_px * sample.image.shape[0] / 480
    cut = _box_areas(boxes) < config.min_visible_share * areas_before_cut
    return select(replace(sample, crowd=sample.crowd | tiny | cut), sides.min(axis=1) > 1)


def select(sample: Sample, keep: NDArray[np.bool_]) -> Sample:
    """The sample with only the people where `keep` `(N,)` is true."""
    names = ("boxes", "crowd", "soft", "hard", "soft_3d", "hard_3d", "joint_weight")
    return replace(sample, **{name: getattr(sample, name)[keep] for name in names})


def _warp_joints(joints: NDArray, matrix: NDArray, size: tuple[int, int], flip: bool) -> NDArray[np.float32]:
    warped = joints[:, COCO_FLIP] if flip else joints.copy()
    warped[..., :2] = warped[..., :2] @ matrix[:, :2].T + matrix[:, 2]
    inside = ((warped[..., :2] >= 0) & (warped[..., :2] < np.array(size))).all(axis=-1)
    warped[..., 2] *= inside
    return warped.astype(np.float32)


def _turn_joints(joints: NDArray, angle: float, flip: bool) -> NDArray[np.float32]:
    # A zoom or shift moves the virtual camera a little; pelvis-relative camera axes stay valid to first order.
    turned = joints[:, H36M_FLIP] if flip else joints.copy()
    if flip:
        turned[..., 0] *= -1
    turned[..., :2] = turned[..., :2] @ _rotation(angle).T
    return turned.astype(np.float32)


def _warp_image(image: NDArray, matrix: NDArray, size: tuple[int, int], border: tuple[int, ...]) -> NDArray[np.uint8]:
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if scale < 0.7:  # area-average first: a bilinear warp alone would alias
        small = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
        matrix = matrix @ np.diag([image.shape[1] / small[0], image.shape[0] / small[1], 1.0])
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    centres = matrix.astype(np.float64).copy()  # OpenCV counts from pixel centres: edge = centre + 0.5
    centres[:, 2] += centres[:, :2] @ (0.5, 0.5) - 0.5
    return cv2.warpAffine(image, centres, size, flags=cv2.INTER_LINEAR, borderValue=border)


def _border(rng: np.random.Generator) -> tuple[int, ...]:
    return PADDING_BGR if rng.random() < 0.5 else tuple(int(value) for value in rng.integers(0, 256, 3))


def _rotation(angle: float) -> NDArray[np.float64]:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _compose(outer: NDArray, inner: NDArray) -> NDArray[np.float64]:
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def _box_areas(boxes: NDArray) -> NDArray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
