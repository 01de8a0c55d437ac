"""Which people in different views are the same person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from orpose_models.multiview.fuse import FusedPerson, Views, fuse, solve
from orpose_models.multiview.sights import Sight

#: Two sights are one person if being one costs less than this, a joint (in units of variance, see `pair_costs`).
GATE = 5.0
#: One joint costs at most this much: a wrong wrist makes nobody another person.
_JOINT_LIMIT = 25.0
#: Share of joints in front of the cameras below which nobody can tell where a person is.
_IN_FRONT = 0.5


def fuse_views(sights: Mapping[str, Sequence[Sight]], gate: float = GATE) -> list[FusedPerson]:
    """Everybody whose place in the room can be told, best score first.

    Args:
        sights: Camera -> who it sees, of one moment.
        gate: See `GATE`.
    """
    persons = [fuse(group) for group in associate([s for own in sights.values() for s in own], gate)]
    persons = [person for person in persons if person.in_front >= _IN_FRONT]
    return sorted(persons, key=lambda person: -person.score)


def associate(sights: Sequence[Sight], gate: float = GATE) -> list[list[Sight]]:
    """Groups of sights of one person each, at most one a camera: the cheapest pairs join first (average linkage)."""
    costs = pair_costs(sights)
    groups = [[index] for index in range(len(sights))]
    while True:
        candidates = [
            (float(np.mean([costs[i, j] for i in a for j in b])), x, y)
            for (x, a), (y, b) in combinations(enumerate(groups), 2)
            if not {sights[i].camera for i in a} & {sights[j].camera for j in b}
        ]
        cost, x, y = min(candidates, default=(np.inf, 0, 0))
        if not cost < gate:
            return [[sights[index] for index in group] for group in groups]
        groups[x] += groups.pop(y)


def pair_costs(sights: Sequence[Sight]) -> NDArray[np.float64]:
    """`(N, N)` what it costs, a joint, that two sights are one person; infinite within one camera.

    The rise of the fused problem's energy over that of each alone: how badly rays miss each other, and how badly size
    and shape of the lifted poses fit the place where the rays meet.
    """
    count = len(sights)
    costs = np.full((count, count), np.inf)
    pairs = [(i, j) for i, j in combinations(range(count), 2) if sights[i].camera != sights[j].camera]
    if not pairs:
        return costs
    singles = Views.of([[sight] for sight in sights])
    alone = solve(singles, singles.weights).energies  # N, 17
    views = Views.of([[sights[i], sights[j]] for i, j in pairs])
    together = solve(views, views.weights).energies
    first, second = np.array(pairs).T
    counted = views.weights.max(axis=1)
    rise = np.clip((together - alone[first] - alone[second]) / np.maximum(counted, 1e-9), 0.0, _JOINT_LIMIT)
    costs[first, second] = (counted * rise).sum(axis=1) / counted.sum(axis=1)
    costs[second, first] = costs[first, second]
    return costs
