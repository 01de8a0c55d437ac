"""The papers' claims as sums of metrics, each to be above a number: what a reproduction has to show.

A claim's `terms` are (factor, network, downsampling); "the teacher loses more than the student" is
(teacher at 1x - teacher at 12x) - (student at 1x - student at 12x) > 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from training.reproduce.config import ReproduceConfig
from training.reproduce.networks import Roles, published, roles_of
from training.reproduce.paper import Figures
from training.reproduce.steps import scale_name

Term = tuple[int, str, float]


@dataclass(frozen=True)
class Metric:
    """One figure of a network at a scale.

    Attributes:
        protocol: Of `orpose evaluate`, whose main metric it is.
        unit: As tables name it; `factor` turns the protocol's value into it.
        paper: Field of the paper's figures.
    """

    protocol: str
    unit: str
    factor: float
    paper: str


BOX_AP = Metric("coco-bbox", "box AP", 100, "box_ap")
KEYPOINT_AP = Metric("coco-keypoints", "keypoint AP", 100, "keypoint_ap")
MPJPE = Metric("mpjpe", "mm", 1, "mpjpe_mm")


@dataclass(frozen=True)
class Claim:
    """The sum of `terms` is above `least`, in the metric's unit.

    Attributes:
        is_goal: A size that was aimed at, not an ordering of the paper's.
        is_ablation: The paper's figures are those of its Table 3.
        is_published: The paper has such figures.
    """

    text: str
    metric: Metric
    terms: tuple[Term, ...]
    least: float = 0.0
    is_goal: bool = False
    is_ablation: bool = False
    is_published: bool = True

    def in_paper(self, roles: Roles) -> float | None:
        """The paper's own value of the sum, where it has all terms."""
        if not self.is_published:
            return None
        total = 0.0
        for factor, name, scale in self.terms:
            figures: Figures | None = published(roles, name, ablation=self.is_ablation).get(scale)
            if figures is None:
                return None
            total += factor * getattr(figures, self.metric.paper)
        return total


def all_claims(config: ReproduceConfig) -> Mapping[str, list[Claim]]:
    """Title -> the claims about the networks of this reproduction."""
    roles = roles_of(config)
    groups = {
        "Table 1": _before(roles, min(config.scales), max(config.scales)),
        "Table 2": chain(_distilled(roles, config.scales), _all_scales(roles, config.scales)),
        "Table 3": _ablation(roles, min(config.scales)),
        "SSPCM and Cut-Occlude": _further(config),
    }
    return {title: claims for title, group in groups.items() if (claims := list(group))}


def _before(roles: Roles, low: float, high: float) -> Iterator[Claim]:
    teacher, student = roles.teacher, roles.student
    if low == high:
        return
    span = f"{scale_name(low)} to {scale_name(high)}"
    for name in (teacher, student):
        yield Claim(f"{name} loses, {span}", KEYPOINT_AP, ((1, name, low), (-1, name, high)))
    loss = ((1, teacher, low), (-1, teacher, high), (-1, student, low), (1, student, high))
    yield Claim(f"{teacher} loses more than {student}, {span}", KEYPOINT_AP, loss)
    yield Claim(f"{teacher} loses more than {student}, {span}", BOX_AP, loss)
    rise = tuple((-factor, name, scale) for factor, name, scale in loss)
    yield Claim(f"error of {teacher} rises more than that of {student}, {span}", MPJPE, rise)
    yield _better(teacher, student, low)
    yield _better(student, teacher, high)


def _distilled(roles: Roles, scales: tuple[float, ...]) -> Iterator[Claim]:
    for scale, name in sorted(roles.fixed.items()):
        yield from _beside_undistilled(roles, name, scale, is_least=scale == min(scales), is_most=scale == max(scales))


def _all_scales(roles: Roles, scales: tuple[float, ...]) -> Iterator[Claim]:
    if roles.all is None:
        return
    for scale in scales:
        yield from _beside_undistilled(
            roles, roles.all, scale, is_least=scale == min(scales), is_most=scale == max(scales)
        )
    for scale, name in sorted(roles.fixed.items()):
        yield _within(roles.all, name, scale, 2)
        yield replace(_within(roles.all, name, scale, 2), metric=BOX_AP)


def _beside_undistilled(roles: Roles, name: str, scale: float, *, is_least: bool, is_most: bool) -> Iterator[Claim]:
    """Distilled against the teacher and the student before: better; at the goal's sizes at both ends of the scales."""
    yield _better(name, roles.student, scale)
    yield Claim(
        f"error of {roles.student} above that of {name} at {scale_name(scale)}",
        MPJPE,
        ((1, roles.student, scale), (-1, name, scale)),
    )
    if is_least:
        yield _within(name, roles.teacher, scale, 2)
    else:
        yield _better(name, roles.teacher, scale)
        for other in (roles.student, roles.teacher):
            yield replace(_better(name, other, scale), metric=BOX_AP)
    if is_most and not is_least:
        for other in (roles.teacher, roles.student):
            terms = ((1, name, scale), (-1, other, scale))
            text = f"{name} at least 25 above {other} at {scale_name(scale)}"
            yield Claim(text, KEYPOINT_AP, terms, least=25, is_goal=True)


def _ablation(roles: Roles, scale: float) -> Iterator[Claim]:
    single, double = roles.single, roles.double
    for label in ("hard", "soft"):
        if "both" in single and label in single:
            yield _better(single["both"], single[label], scale, is_ablation=True)
    if double is None:
        return
    for name in single.values():
        yield _better(double, name, scale, is_ablation=True)
    for label in ("hard", "both"):  # in the paper soft labels alone are as good as two branches in 3D
        if label in single:
            text = f"error of {single[label]} above that of {double} at {scale_name(scale)}"
            yield Claim(text, MPJPE, ((1, single[label], scale), (-1, double, scale)), is_ablation=True)
    if roles.h3d is not None:  # the paper trains on s3d, its public code on h3d: no figures of both
        yield replace(_better(double, roles.h3d, scale), is_published=False)
        text = f"error of {roles.h3d} above that of {double} at {scale_name(scale)}"
        yield Claim(text, MPJPE, ((1, roles.h3d, scale), (-1, double, scale)), is_published=False)


def _further(config: ReproduceConfig) -> Iterator[Claim]:
    """SSPCM's filter and Cut-Occlude: each better than the first of the list, which is without them."""
    for name in config.sspcm[1:]:
        yield replace(_better(name, config.sspcm[0], min(config.scales)), is_published=False)


def _better(name: str, other: str, scale: float, *, is_ablation: bool = False) -> Claim:
    terms = ((1, name, scale), (-1, other, scale))
    return Claim(f"{name} above {other} at {scale_name(scale)}", KEYPOINT_AP, terms, is_ablation=is_ablation)


def _within(name: str, other: str, scale: float, margin: float) -> Claim:
    terms = ((1, name, scale), (-1, other, scale))
    text = f"{name} at most {margin:g} below {other} at {scale_name(scale)}"
    return Claim(text, KEYPOINT_AP, terms, least=-margin, is_goal=True)
