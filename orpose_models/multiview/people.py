"""Cameras' poses from people whom several of them see at once. Needs scipy (the extra `calibrate`).

1. Every person's lifted pose and place, as one camera alone sees them, laid over another camera's: a first guess of how
   the cameras stand to each other. The guess under which most people fit wins, and is refined with all of them.
2. Cameras are joined, the best pair first.
3. People are matched, their joints triangulated and everything adjusted together, three times with narrower limits.
4. Rays know no size: it comes from depth images, or from how tall people are on average.
5. Up is where people's heads are; the floor is where their feet are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import Camera
from orpose_models.errors import CalibrationError
from orpose_models.multiview.associate import associate, pair_costs
from orpose_models.multiview.bundle import Adjusted, Observations, adjust, triangulate
from orpose_models.multiview.fuse import fuse
from orpose_models.multiview.sights import Sight, sights_of
from orpose_models.runtime.types import Person
from orpose_models.skeleton import COCO17

#: Guesses to try for a pair of cameras, moments to judge each by, and moments to refine the best with.
_GUESSES, _JUDGED_MOMENTS, _REFINED_MOMENTS = 50, 12, 40
#: What a sight without a partner costs, and up to where a guess's pairs are believed (see associate.GATE).
_ALONE = 12.0
#: Limits of matching, from round to round.
_GATES = (12.0, 8.0, 5.0)
#: Joints with a lower score are not adjusted to; people with fewer are left out.
_MIN_SCORE, _MIN_JOINTS = 0.3, 6
#: People for the adjustment; more gain little and take long.
_MOST_PEOPLE = 80
#: People that each camera must see together with another one: fewer, and wrong directions fit as well.
_LEAST_PEOPLE = 20
_LEAST_UPRIGHT = 8
_IDENTITY = np.eye(4)
#: Length of bones over body height (Drillis and Contini): between COCO joints, means of several where there are two.
_BONES: tuple[tuple[tuple[int, ...], tuple[int, ...], float], ...] = (
    ((5,), (7,), 0.186), ((6,), (8,), 0.186), ((7,), (9,), 0.146), ((8,), (10,), 0.146),
    ((11,), (13,), 0.245), ((12,), (14,), 0.245), ((13,), (15,), 0.246), ((14,), (16,), 0.246),
    ((5, 6), (11, 12), 0.288),
)  # fmt: skip
_ANKLES = [COCO17.index("left_ankle"), COCO17.index("right_ankle")]
_SHOULDERS = [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]
_HIPS = [COCO17.index("left_hip"), COCO17.index("right_hip")]
#: Height of the ankle above the floor, m.
_ANKLE_M = 0.09
#: Who leans or lies further than this from the rest says nothing about up.
_UPRIGHT_DEG = 40.0
#: The poses that single views show are turned against each other by less than this, however well rays fit.
_TURNED_DEG = 40.0


@dataclass(frozen=True, eq=False)
class PeopleCalibration:
    """What was found.

    Attributes:
        adjusted: Cameras and points; points come in seventeens, COCO joints of a person, NaN where not seen twice.
        seen: What they were adjusted to; `point` counts the points that are not NaN.
        known: `(K, 17)` which joints of the K people are points.
        moments: `(K,)` index of each person's moment.
    """

    adjusted: Adjusted
    seen: Observations
    known: NDArray[np.bool_]
    moments: NDArray[np.int64]

    @property
    def joints(self) -> NDArray[np.float64]:
        """`(K, 17, 3)` m, NaN where not seen twice."""
        joints = np.full((*self.known.shape, 3), np.nan)
        joints[self.known] = self.adjusted.points
        return joints


def calibrate_people(
    cameras: Mapping[str, Camera], moments: Sequence[Mapping[str, Sequence[Person]]], seed: int = 0
) -> PeopleCalibration:
    """Poses of the cameras in the frame of the first one; metres as far as lifted poses know them.

    Args:
        cameras: Their lenses, for images of the size that joints refer to; poses are not used.
        moments: Camera -> whom it saw.
        seed: Of the choice of guesses.

    Raises:
        CalibrationError: A camera sees nobody together with the others, or too few people are seen together.
    """
    rng = np.random.default_rng(seed)
    own = {name: replace(camera, room_from_camera=_IDENTITY) for name, camera in cameras.items()}
    sights = [{name: sights_of(own[name], seen) for name, seen in moment.items()} for moment in moments]
    posed = {n: replace(own[n], room_from_camera=pose) for n, pose in _join(list(cameras), sights, rng).items()}
    posed = {name: posed[name] for name in cameras}
    result = None
    for gate in _GATES:
        result = _refine(posed, moments, gate)
        posed = result.adjusted.cameras
    assert result is not None
    _check_shapes(posed, moments)
    return result


# ------------------------------------------------------------------------------------------------------ first guesses


def _join(
    names: list[str], moments: Sequence[Mapping[str, list[Sight]]], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Poses in the first camera's frame, along the pairs of cameras that fit best."""
    pairs = {}
    for first, second in combinations(names, 2):
        if (guess := _pair(first, second, moments, rng)) is not None:
            pairs[first, second] = guess
    poses = {names[0]: _IDENTITY}
    while len(poses) < len(names):
        able = {pair: cost for pair, (cost, _) in pairs.items() if (pair[0] in poses) != (pair[1] in poses)}
        if not able:
            lost = ", ".join(name for name in names if name not in poses)
            raise CalibrationError(
                f"{lost}: nobody is seen together with {', '.join(poses)}; record people whom both see"
            )
        first, second = min(able, key=lambda pair: able[pair])
        first_from_second = pairs[first, second][1]
        if first in poses:
            poses[second] = poses[first] @ first_from_second
        else:
            poses[first] = poses[second] @ np.linalg.inv(first_from_second)
    return poses


def _pair(
    first: str, second: str, moments: Sequence[Mapping[str, list[Sight]]], rng: np.random.Generator
) -> tuple[float, NDArray[np.float64]] | None:
    """How badly the best guess fits, a person, and `first_from_second`; None if nobody is seen by both."""
    both = [moment for moment in moments if moment.get(first) and moment.get(second)]
    candidates = [(a, b) for moment in both for a in moment[first] for b in moment[second]]
    if not candidates:
        return None
    chosen = [candidates[i] for i in rng.permutation(len(candidates))[:_GUESSES]]
    judged = [both[i] for i in rng.permutation(len(both))[:_JUDGED_MOMENTS]]
    guesses = [_laid_over([pair]) for pair in chosen]
    ranked = sorted(((_judge(guess, first, second, judged)[0], i) for i, guess in enumerate(guesses)))
    both = [both[i] for i in rng.permutation(len(both))[:_REFINED_MOMENTS]]
    best_cost, best = np.inf, _IDENTITY
    for _, index in ranked[:3]:
        guess = guesses[index]
        for _ in range(3):
            cost, matched = _judge(guess, first, second, both)
            if cost < best_cost:
                best_cost, best = cost, guess
            if not matched:
                break
            guess = _laid_over(matched)
    return best_cost, best


def _judge(
    first_from_second: NDArray[np.float64], first: str, second: str, moments: Sequence[Mapping[str, list[Sight]]]
) -> tuple[float, list[tuple[Sight, Sight]]]:
    """Cost of a guess, a possible pair of sights, and the pairs that are one person under it."""
    total, possible, matched = 0.0, 0, []
    for moment in moments:
        own, other = moment[first], [_moved(sight, first_from_second) for sight in moment[second]]
        costs = pair_costs([*own, *other])[: len(own), len(own) :]
        count = min(costs.shape)
        possible += count
        for _ in range(count):
            i, j = np.unravel_index(np.argmin(costs), costs.shape)
            total += min(float(costs[i, j]), _ALONE)
            if costs[i, j] < _ALONE:
                matched.append((own[i], moment[second][j]))
            costs[i, :], costs[:, j] = np.inf, np.inf
    return total / max(possible, 1), matched


def _moved(sight: Sight, pose: NDArray[np.float64]) -> Sight:
    """The sight of a camera that stands at `pose`."""
    rotation = pose[:3, :3]
    return replace(
        sight,
        centre=rotation @ sight.centre + pose[:3, 3],
        directions=sight.directions @ rotation.T,
        lifted=sight.lifted @ rotation.T,
    )


def _laid_over(pairs: Sequence[tuple[Sight, Sight]]) -> NDArray[np.float64]:
    """`first_from_second` that lays the second camera's people over the first one's (Kabsch)."""
    first = np.concatenate([fuse([a]).joints[:, :3] for a, _ in pairs])
    second = np.concatenate([fuse([b]).joints[:, :3] for _, b in pairs])
    weights = np.concatenate([np.minimum(a.weights, b.weights) for a, b in pairs]) + 1e-6
    weights = weights / weights.sum()
    middle_first, middle_second = weights @ first, weights @ second
    left, _, right = np.linalg.svd((weights[:, None] * (first - middle_first)).T @ (second - middle_second))
    pose = np.eye(4)
    pose[:3, :3] = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    pose[:3, 3] = middle_first - pose[:3, :3] @ middle_second
    return pose


# --------------------------------------------------------------------------------------------------------- refinement


def _refine(
    cameras: Mapping[str, Camera], moments: Sequence[Mapping[str, Sequence[Person]]], gate: float
) -> PeopleCalibration:
    """Matches people under the present poses, and adjusts poses and joints."""
    groups = []
    for index, moment in enumerate(moments):
        sights = [sight for name, seen in moment.items() for sight in sights_of(cameras[name], seen)]
        groups += [(index, group) for group in associate(sights, gate) if len(group) > 1]
    names = list(cameras)
    for name in names:
        count = sum(any(sight.camera == name for sight in group) for _, group in groups)
        if count < _LEAST_PEOPLE:
            raise CalibrationError(
                f"camera '{name}': {count} people (moment by moment) whom another camera sees as well, expected "
                f"{_LEAST_PEOPLE} or more; record longer, with people whom several cameras see whole"
            )
    step = max(1, -(-len(groups) // _MOST_PEOPLE))
    groups = groups[::step]
    pixels = np.zeros((len(names), len(groups), 17, 2))
    weights = np.zeros((len(names), len(groups), 17))
    for row, (_, group) in enumerate(groups):
        for sight in group:
            place = names.index(sight.camera)
            pixels[place, row] = sight.person.keypoints[:, :2]
            scores = sight.person.keypoints[:, 2]
            weights[place, row] = np.where(scores >= _MIN_SCORE, scores**2, 0.0)
    known = (weights > 0).sum(axis=0) > 1
    known &= known.sum(axis=1, keepdims=True) >= _MIN_JOINTS
    if known.any(axis=1).sum() < _LEAST_UPRIGHT:
        raise CalibrationError(
            f"{int(known.any(axis=1).sum())} people with {_MIN_JOINTS} joints seen twice (score {_MIN_SCORE} or more), "
            f"expected {_LEAST_UPRIGHT} or more; record longer, with people whom several cameras see whole"
        )
    points = triangulate(list(cameras.values()), pixels[:, known], weights[:, known])
    which, point = np.nonzero(weights[:, known] > 0)
    seen = Observations(which, point, pixels[:, known][which, point], weights[:, known][which, point])
    adjusted = adjust(cameras, points, seen)
    return PeopleCalibration(adjusted, seen, known, np.array([index for index, _ in groups]))


def _check_shapes(cameras: Mapping[str, Camera], moments: Sequence[Mapping[str, Sequence[Person]]]) -> None:
    """Raises CalibrationError if the poses that single views show contradict the cameras' directions."""
    turned: dict[str, NDArray[np.float64]] = {name: np.zeros((3, 3)) for name in cameras}
    for moment in moments:
        group = associate([s for name, seen in moment.items() for s in sights_of(cameras[name], seen)], _GATES[0])
        for first, second in (pair for sights in group for pair in permutations(sights, 2)):
            weights = np.minimum(first.weights, second.weights)[:, None]
            turned[first.camera] += (weights * first.lifted).T @ second.lifted
    for name, moments_of_shape in turned.items():
        left, _, right = np.linalg.svd(moments_of_shape)
        rotation = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
        angle_deg = np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))
        if angle_deg > _TURNED_DEG:
            raise CalibrationError(
                f"camera '{name}': the people it sees fit those of the others only when turned by {angle_deg:.0f} "
                "degrees; record longer, with people whom it and the others see whole"
            )


# ------------------------------------------------------------------------------------------------------ size and axes


def scale_from_height(joints: NDArray[np.float64], height_m: float) -> float:
    """What to multiply by so that people `(K, 17, 3)` are on average this tall, from the lengths of their bones.

    Raises:
        CalibrationError: No bone was seen.
    """
    heights = []
    for first, second, share in _BONES:
        lengths = np.linalg.norm(joints[:, list(first)].mean(axis=1) - joints[:, list(second)].mean(axis=1), axis=1)
        heights.append(lengths[np.isfinite(lengths)] / share)
    known = np.concatenate(heights)
    if not len(known):
        raise CalibrationError("no limb of anybody was seen by two cameras; give depth images, or record longer")
    return height_m / float(np.median(known))


def scaled(cameras: Mapping[str, Camera], scale: float) -> dict[str, Camera]:
    """The cameras with all distances multiplied."""
    grown = {}
    for name, camera in cameras.items():
        assert camera.room_from_camera is not None
        pose = np.array(camera.room_from_camera)
        pose[:3, 3] *= scale
        grown[name] = replace(camera, room_from_camera=pose)
    return grown


def room_axes(cameras: Mapping[str, Camera], joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """`room_from_first`: z up from the floor, the origin below the first camera, which looks along x.

    Args:
        cameras: In the first camera's frame.
        joints: `(K, 17, 3)` people there, m.

    Raises:
        CalibrationError: Nobody who stands or sits was seen well.
    """
    up = _up(cameras, joints)
    heights = joints[:, _ANKLES].reshape(-1, 3) @ up
    heights = heights[np.isfinite(heights)]
    lowest = heights if len(heights) else (joints.reshape(-1, 3) @ up)[np.isfinite(joints.reshape(-1, 3)).all(axis=1)]
    floor = float(np.percentile(lowest, 20)) - _ANKLE_M
    forward = np.array([0.0, 0.0, 1.0])  # of the first camera
    along = forward - (forward @ up) * up
    if np.linalg.norm(along) < 0.1:  # it looks straight down: along the top of its image
        along = np.array([0.0, -1.0, 0.0]) + up[1] * up
    along = along / np.linalg.norm(along)
    rotation = np.stack([along, np.cross(up, along), up])
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[2, 3] = -floor
    return pose


def _up(cameras: Mapping[str, Camera], joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(3,)` where the heads of those are who stand or sit."""
    # A camera looks between straight ahead and straight down: halfway between its image's top and its back is upwards.
    up = np.zeros(3)
    for camera in cameras.values():
        assert camera.room_from_camera is not None
        up -= camera.room_from_camera[:3, 1] + camera.room_from_camera[:3, 2]
    spines = joints[:, _SHOULDERS].mean(axis=1) - joints[:, _HIPS].mean(axis=1)
    spines = spines[np.isfinite(spines).all(axis=1)]
    spines = spines / np.linalg.norm(spines, axis=1)[:, None]
    upright = spines[spines @ (up / np.linalg.norm(up)) > np.cos(np.radians(_UPRIGHT_DEG))]
    if len(upright) < _LEAST_UPRIGHT:
        raise CalibrationError(
            f"shoulders and hips of {len(upright)} people who stand were seen twice, expected {_LEAST_UPRIGHT} or "
            "more, so that up is not known; record longer"
        )
    up = np.median(upright, axis=0)
    return up / np.linalg.norm(up)


def in_room(cameras: Mapping[str, Camera], room_from_first: NDArray[np.float64]) -> dict[str, Camera]:
    """The cameras moved from the first one's frame into the room."""
    moved = {}
    for name, camera in cameras.items():
        assert camera.room_from_camera is not None
        moved[name] = replace(camera, room_from_camera=room_from_first @ camera.room_from_camera)
    return moved
