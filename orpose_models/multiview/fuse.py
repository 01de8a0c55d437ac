"""From what one or several cameras see of a person to joints in the room.

One weighted least-squares problem does it for any number of views: each joint lies near its rays (distance across the
ray, m), and the joints together have the lifted poses' shapes, placed somewhere (distance from it, m). With one view
the lifted pose's size says how far away the person is; with two and more the rays do, and the lifted pose only helps
where a joint is seen by one camera. Rays that contradict the rest lose their weight (Geman-McClure).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orpose_models.multiview.sights import Sight

#: Standard deviations of a joint of weight 1: across its ray, and from the lifted pose, m.
RAY_SIGMA_M, LIFTED_SIGMA_M = 0.08, 0.13
#: Distance across the ray at which a joint has lost three quarters of its weight, m.
_OUTLIER_M = 0.15
_ROUNDS = 4
#: A joint that no ray supports any more counts as not seen: weight over what it was.
_SUPPORT = 0.25
#: A joint behind a camera counts as this far from the ray, m.
_BEHIND_M = 10.0
#: Keeps equations solvable where no view knows a joint, 1/m².
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class FusedPerson:
    """A person in the room.

    Attributes:
        joints: `(17, 4)` Human3.6M-17 x, y, z (m, room frame), score in [0, 1].
        score: The best box score among the views.
        sights: What it was made of, one a camera.
        track_id: Identity over time, -1 for none.
        in_front: Share of the rays' weight that belongs to joints in front of their camera: below a half, size and
            shape of the lifted poses contradict the rays, and where the person is cannot be told.
        misfit_m: Camera -> weighted root mean square distance of its rays from the joints, m; empty with one view.
    """

    joints: NDArray[np.float64]
    score: float
    sights: tuple[Sight, ...]
    misfit_m: dict[str, float]
    in_front: float = 1.0
    track_id: int = -1


class Solution(NamedTuple):
    """Of B people: joints `(B, 17, 3)`, their rays' distances `(B, V, 17)` m and energies `(B, 17)`, no unit."""

    joints: NDArray[np.float64]
    distances: NDArray[np.float64]
    energies: NDArray[np.float64]


def fuse(sights: Sequence[Sight]) -> FusedPerson:
    """The person that these sights, one a camera, are of."""
    views = Views.of([sights])
    weights = views.weights
    for _ in range(_ROUNDS):
        solution = solve(views, weights)
        if len(sights) == 1:
            break
        trust = 1 / (1 + (solution.distances / _OUTLIER_M) ** 2) ** 2
        weights = views.weights * trust
    else:
        solution = solve(views, weights)
    trusted = np.where(views.weights > 0, weights >= _SUPPORT * views.weights, False)[0]
    scores = (np.stack([sight.scores for sight in sights]) * trusted).max(axis=0)
    in_front = np.isfinite(solution.distances[0])
    distances = np.where(in_front, solution.distances[0], _BEHIND_M)
    shares = views.weights[0] / np.maximum(views.weights[0].sum(axis=1, keepdims=True), _TINY)
    misfit = np.sqrt((shares * distances**2).sum(axis=1))
    return FusedPerson(
        joints=np.column_stack([solution.joints[0], scores]),
        score=max(sight.person.score for sight in sights),
        sights=tuple(sights),
        misfit_m={s.camera: float(m) for s, m in zip(sights, misfit, strict=True)} if len(sights) > 1 else {},
        in_front=float((shares * in_front).sum() / len(sights)),
    )


class Views(NamedTuple):
    """Stacked sights of B people with V views each."""

    centres: NDArray[np.float64]
    """`(B, V, 3)` m."""
    directions: NDArray[np.float64]
    """`(B, V, 17, 3)`, 0 where there is none."""
    weights: NDArray[np.float64]
    """`(B, V, 17)`."""
    lifted: NDArray[np.float64]
    """`(B, V, 17, 3)` m."""

    @classmethod
    def of(cls, groups: Sequence[Sequence[Sight]]) -> Views:
        return cls(
            np.array([[sight.centre for sight in group] for group in groups]),
            np.nan_to_num(np.array([[sight.directions for sight in group] for group in groups])),
            np.array([[sight.weights for sight in group] for group in groups]),
            np.array([[sight.lifted for sight in group] for group in groups]),
        )


def solve(views: Views, weights: NDArray[np.float64]) -> Solution:
    """The least-squares joints for given weights `(B, V, 17)` of the rays."""
    across = _across(views.directions)
    ray = weights / RAY_SIGMA_M**2  # B, V, J
    shape = views.weights / LIFTED_SIGMA_M**2
    # Each joint's 3x3 block, with the place of the lifted poses eliminated afterwards (one 3x3 system a person).
    coupling = shape.sum(axis=1) + _TINY  # B, J
    blocks = np.einsum("bvj,bvjxy->bjxy", ray, across) + coupling[..., None, None] * np.eye(3)
    pull = np.einsum("bvj,bvjxy,bvy->bjx", ray, across, views.centres)
    pull += np.einsum("bvj,bvjx->bjx", shape, views.lifted)
    inverse = np.linalg.inv(blocks)
    lifted_sum = np.einsum("bvj,bvjx->bx", shape, views.lifted)
    total = coupling.sum(axis=1)
    left = total[:, None, None] * np.eye(3) - np.einsum("bj,bjxy->bxy", coupling**2, inverse)
    right = np.einsum("bj,bjxy,bjy->bx", coupling, inverse, pull) - lifted_sum
    place = np.linalg.solve(left + _TINY * np.eye(3), right[..., None])[..., 0]  # B, 3
    joints = np.einsum("bjxy,bjy->bjx", inverse, pull + coupling[..., None] * place[:, None])
    offsets = joints[:, None] - views.centres[:, :, None]
    distances = np.sqrt(np.maximum(np.einsum("bvjx,bvjxy,bvjy->bvj", offsets, across, offsets), 0.0))
    distances = np.where(np.einsum("bvjx,bvjx->bvj", offsets, views.directions) > 0, distances, np.inf)
    from_lifted = joints[:, None] - place[:, None, None] - views.lifted
    energies = (ray * np.where(np.isfinite(distances), distances, _BEHIND_M) ** 2).sum(axis=1)
    energies += (shape * (from_lifted**2).sum(axis=-1)).sum(axis=1)
    return Solution(joints, np.where(views.weights > 0, distances, 0.0), energies)


def _across(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(..., 3, 3)` projections onto the plane across unit directions `(..., 3)`."""
    return np.eye(3) - directions[..., :, None] * directions[..., None, :]
