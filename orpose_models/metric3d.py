"""Where people are in the camera's frame, in metres: joints from registered depth, or the pelvis from body size alone.

Frames: x right, y down, z forward (REP 103, optical). Joints are Human3.6M-17.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from orpose_models.depth import DepthImage
from orpose_models.lens import Lens
from orpose_models.runtime.types import Person, Root, RootSource
from orpose_models.skeleton import H36M17, h36m17_from_coco17, h36m17_scores_from_coco17
from orpose_models.units import MILLIMETRES_PER_METRE

_HEAD, _HEAD_TOP = H36M17.index("head"), H36M17.index("head_top")
#: Everything but the top of the head, of which the 2D joints know nothing.
_IN_IMAGE = np.arange(17) != _HEAD_TOP
#: How deep a joint lies below the surface that depth cameras see, m: flesh and clothes. Medians over seen joints of
#: rendered people in gowns, aprons and scrubs.
_BELOW_SURFACE_M = np.array(
    [0.17, 0.13, 0.12, 0.09, 0.13, 0.12, 0.09, 0.15, 0.09, 0.08, 0.08, 0.055, 0.04, 0.03, 0.055, 0.04, 0.03]
)
#: Rays that go less forward than this have no depth along the axis that would say how far.
_LEAST_FORWARD = 0.05
#: Joints that agree this well about how far the pelvis is belong to one body; the others are hidden by something
#: nearer, or lie beside the body.
_ONE_BODY_M = 0.2
_LEAST_JOINTS = 3
#: Where a smaller share of the joints (by weight) agrees, the body's size is asked which ones to believe: depth that is
#: far from what it says needs more joints, as many times at most.
_CLEAR_SHARE, _LEAST_PLAUSIBLE = 0.95, 0.2
#: Joints count at least this much: a network that is sure of nothing still measures.
_LEAST_WEIGHT = 0.05
#: Adults differ in size by this share (standard deviation), and so does the distance that their size tells.
_SIZE_SD = 0.07
#: What rays of joints miss by counts less from here on, m.
_OUTLIER_M = 0.15
_FIT_STEPS = 4
#: Nobody's pelvis is known better, m.
_LEAST_SD_M = 0.03
#: Errors of a person's joints are alike: as many joints tell as much as one alone (set so that 95 % ellipsoids hold).
_JOINTS_ALIKE = 8.0
#: What counts less than the score of a joint that was seen: one whose depth is that of the body around it.
_INFERRED_SCORE = 0.5


def located(person: Person, lens: Lens, depth: DepthImage | None, frame_size: tuple[int, int]) -> Person:
    """The person with `root`, and with `keypoints_3d_metric` where there is depth on enough joints.

    A joint whose depth fits the rest of the body is where its ray and that depth meet. Of a joint behind an occluder,
    or without depth, only the ray is known: it is put nearest to where the body's pose says, with half its score.

    Args:
        person: Raw: not smoothed over time, so that joints and depth are of the same moment.
        lens: Of the frame.
        depth: Registered depth of the same moment, None if there is none.
        frame_size: Width and height that the person's pixels refer to.

    Raises:
        ImageError: The depth image is not registered to this frame.
    """
    pixels = h36m17_from_coco17(person.keypoints[:, :2].astype(np.float64))
    relative = person.keypoints_3d[:, :3].astype(np.float64) / MILLIMETRES_PER_METRE
    scores = h36m17_scores_from_coco17(person.keypoints[:, 2].astype(np.float64))
    weights = np.maximum(scores, _LEAST_WEIGHT) * _IN_IMAGE
    rays = lens.rays(pixels)
    weights = np.where(np.isfinite(rays).all(axis=1), weights, 0.0)
    guess = partial(root_from_size, np.nan_to_num(rays), relative, weights)
    if depth is not None:
        measured = _measured(person, rays, relative, weights, depth.at(pixels, frame_size), guess)
        if measured is not None:
            return measured
    return replace(person, root=guess(), keypoints_3d_metric=None)


def root_from_size(
    rays: NDArray[np.float64], relative: NDArray[np.float64], weights: NDArray[np.float64]
) -> Root | None:
    """Where the pelvis must be for the joints' rays to hit a body of this size.

    Least squares of the distances of the 3D joints from their rays, outliers weighted down. The uncertainty is that of
    the fit, and of people's sizes along the line of sight.

    Args:
        rays: `(17, 3)` unit directions of the joints in the camera frame.
        relative: `(17, 3)` joints, m, from the pelvis.
        weights: `(17,)`, 0 for joints that do not count.

    Returns:
        None where the rays do not say, or say that the person is behind the camera.
    """
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]  # (17, 3, 3): what of a point lies off its ray
    weighted: NDArray[np.floating] = weights
    position: NDArray[np.float64] = np.zeros(3)
    missed = np.zeros(17)
    moved = (across @ relative[:, :, None])[:, :, 0]  # (17, 3)
    for _ in range(_FIT_STEPS):
        normal = np.tensordot(weighted, across, 1)
        # Rays of one direction say nothing about the distance along it: the determinant of what they say is 0.
        if np.linalg.det(normal) <= 1e-9 * np.trace(normal) ** 3:
            return None
        position = np.asarray(-np.linalg.solve(normal, weighted @ moved), np.float64)
        missed = np.sqrt(np.square(moved + across @ position).sum(axis=1))
        weighted = weights / (1 + (missed / _OUTLIER_M) ** 2)
    if position[2] <= 0:
        return None
    normal = np.tensordot(weighted, across, 1) / weighted.max()
    scatter = (weighted * missed**2).sum() / weighted.sum() / 2 + _LEAST_SD_M**2
    covariance = _JOINTS_ALIKE * scatter * np.linalg.inv(normal) + _SIZE_SD**2 * np.outer(position, position)
    return Root(position, covariance, RootSource.SIZE)


def _measured(
    person: Person,
    rays: NDArray[np.float64],
    relative: NDArray[np.float64],
    weights: NDArray[np.float64],
    surface_m: NDArray[np.float64],
    guess: Callable[[], Root | None],
) -> Person | None:
    """The person from depth; None where too few joints have any that fits together."""
    known = np.isfinite(surface_m) & (weights > 0) & (rays[:, 2] > _LEAST_FORWARD)
    if not known.any():
        return None
    # Along the ray, not along the axis: the body is as thick at the edge of a fisheye as in its middle.
    range_m = np.where(known, surface_m, 0.0) / np.where(known, rays[:, 2], 1.0) + _BELOW_SURFACE_M
    joints = np.nan_to_num(rays) * range_m[:, None]
    pelvises = joints - relative  # where each joint says the pelvis is
    towards = (rays[known] * weights[known, None]).sum(axis=0)
    # Squared: ten joints that are hardly sure may all lie on the occluder, three that are sure do not.
    body = _one_body(pelvises, towards / np.linalg.norm(towards), np.where(known, weights**2, 0.0), guess)
    if body.sum() < _LEAST_JOINTS:
        return None
    expected = np.median(pelvises[body], axis=0) + relative
    nearest = rays * np.einsum("jc,jc->j", rays, expected)[:, None]  # on the joint's ray
    joints = np.where(body[:, None], joints, nearest)
    joints[_HEAD_TOP] = joints[_HEAD] + relative[_HEAD_TOP] - relative[_HEAD]
    scores = person.keypoints_3d[:, 3] * np.where(body, 1.0, _INFERRED_SCORE)
    scores = np.where(np.isfinite(joints).all(axis=1), scores, 0.0)
    if not np.isfinite(joints[H36M17.root]).all():
        return None
    offsets = (joints - relative)[body]
    # The pelvis is one joint: it is as uncertain as the joints differ about it.
    scatter = np.cov(offsets.T, bias=True) + _LEAST_SD_M**2 * np.eye(3)
    return replace(
        person,
        keypoints_3d_metric=np.column_stack([joints, scores]).astype(np.float32),
        root=Root(joints[H36M17.root], scatter, RootSource.DEPTH),
    )


def _one_body(
    pelvises: NDArray[np.float64],
    towards: NDArray[np.float64],
    weights: NDArray[np.float64],
    guess: Callable[[], Root | None],
) -> NDArray[np.bool_]:
    """`(17,)`: the joints that agree best about how far the pelvis is, and with the body's size.

    Args:
        pelvises: `(17, 3)` m, where each joint says it is; across the line of sight they may differ as they like.
        towards: `(3,)` unit direction of the person.
        weights: `(17,)`, 0 for joints that say nothing.
        guess: Of the pelvis from the body's size.
    """
    distances = pelvises @ towards
    counts = weights > 0
    agree = (np.abs(distances[:, None] - distances[None]) < _ONE_BODY_M) & counts[:, None] & counts[None]
    support = agree @ weights
    if support.max() < _CLEAR_SHARE * weights.sum() and (root := guess()) is not None:
        sd = np.sqrt(towards @ root.covariance_m2 @ towards)
        plausible = np.exp(-0.5 * ((distances - root.position_m @ towards) / sd) ** 2)
        support = support * np.maximum(plausible, _LEAST_PLAUSIBLE)
    return np.asarray(agree[int(np.argmax(support))])
