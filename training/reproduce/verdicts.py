"""Claims measured on the results of a reproduction: paired bootstrap intervals, and what they say."""

from __future__ import annotations

import math
from functools import cache, cached_property

import numpy as np

from orpose_models.annotations import AnnotationSet, read_annotations
from orpose_models.evaluate.protocols import PROTOCOLS, statistic_of
from orpose_models.evaluate.resample import Difference, Drawn, differences, draw, image_groups
from orpose_models.evaluate.results import check_images, read_results
from orpose_models.evaluate.seen import Joints, with_joints
from training.reproduce.claims import Claim, Metric
from training.reproduce.config import RESAMPLING, ReproduceConfig
from training.reproduce.steps import joints_of, labels_path, results_path


class Measured:
    """The results of a reproduction. Every network is drawn on the same scenes, so that differences are paired."""

    def __init__(self, config: ReproduceConfig) -> None:
        self._config = config
        self._drawn = cache(self._draw)
        self._labels_with = cache(self._with_joints)

    def is_run(self, claim: Claim) -> bool:
        """Whether all results that the claim speaks of are there."""
        return all(results_path(self._config, name, scale).exists() for _, name, scale in claim.terms)

    def difference(self, claim: Claim) -> Difference:
        """The sum of the claim's terms in the metric's unit, with its interval.

        Raises:
            AnnotationError, InputError: A label or results file that is missing or does not fit.
        """
        above, below = self._sum(claim, 1), self._sum(claim, -1)
        return differences(above, below, RESAMPLING.confidence)[0]

    @cached_property
    def _labels(self) -> AnnotationSet:
        return read_annotations(labels_path(self._config))

    def _with_joints(self, joints: Joints) -> AnnotationSet:
        return with_joints(self._labels, joints)

    def _sum(self, claim: Claim, sign: int) -> Drawn:
        """The terms of one sign, added sample by sample."""
        drawn = [self._drawn(claim.metric, name, scale) for factor, name, scale in claim.terms if factor == sign]
        return Drawn(np.sum([d.values for d in drawn], axis=0), np.sum([d.samples for d in drawn], axis=0))

    def _draw(self, metric: Metric, name: str, scale: float) -> Drawn:
        """The protocol's main metric alone: `(1,)` and `(bootstrap, 1)`."""
        path = results_path(self._config, name, scale)
        results = read_results(path, need=PROTOCOLS[metric.protocol].need)
        check_images(results, self._labels, str(path), labels_path(self._config))
        groups = image_groups(self._labels, RESAMPLING.resample)
        labels = self._labels_with(joints_of(self._config, metric.protocol))
        drawn = draw(statistic_of(metric.protocol, labels, results), groups, RESAMPLING)
        return Drawn(metric.factor * drawn.values[:1], metric.factor * drawn.samples[:, :1])


def verdict(claim: Claim, found: Difference) -> str:
    """By where the interval lies: above the claim's `least`, below it, or on both sides."""
    if not math.isfinite(found.low):
        return "undecided: no value"
    yes, no = ("reached", "missed") if claim.is_goal else ("reproduces", "does not")
    if found.low > claim.least:
        return yes
    return no if found.high < claim.least else "undecided"
