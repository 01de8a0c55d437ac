"""Learning rate and stages as functions of the budget used."""

from __future__ import annotations

import pytest

from training.distill.config import OptimizerConfig, StageConfig, TrainConfig
from training.distill.schedule import batch_shape, lr_factor, progress

STAGES = (
    StageConfig(until=0.75, size=(320, 240), batch_size=8),
    StageConfig(until=1.0, size=(640, 480), batch_size=4),
)


def config(**budget: float) -> TrainConfig:
    return TrainConfig.model_validate(
        {"name": "a", "sources": [{"annotations": "a"}], "stages": [s.model_dump() for s in STAGES], **budget}
    )


@pytest.mark.parametrize(
    ("budget", "iteration", "elapsed_s", "share"),
    [
        ({"iterations": 100}, 25, 1e9, 0.25),
        ({"max_minutes": 2}, 10**9, 30, 0.25),
        ({"iterations": 100, "max_minutes": 2}, 50, 30, 0.5),
        ({"iterations": 100, "max_minutes": 2}, 50, 90, 0.75),
        ({"iterations": 100}, 101, 0, 1.0),
    ],
)
def test_progress(budget: dict[str, float], iteration: int, elapsed_s: float, share: float) -> None:
    assert progress(config(**budget), iteration, elapsed_s) == pytest.approx(share)


@pytest.mark.parametrize(("share", "factor"), [(0.0, 0.01), (0.05, 0.505), (0.1, 1.0), (0.55, 0.5), (1.0, 0.001)])
def test_cosine(share: float, factor: float) -> None:
    assert lr_factor(OptimizerConfig(warmup=0.1), share) == pytest.approx(factor)


@pytest.mark.parametrize(("share", "factor"), [(0.69, 1.0), (0.7, 0.1), (0.85, 0.01), (0.95, 0.001)])
def test_step_is_the_papers(share: float, factor: float) -> None:
    assert lr_factor(OptimizerConfig(schedule="step", warmup=0), share) == pytest.approx(factor)


@pytest.mark.parametrize(("share", "stage"), [(0.0, 0), (0.74, 0), (0.75, 1), (1.0, 1)])
def test_stages(share: float, stage: int) -> None:
    shape = batch_shape(STAGES, share)
    assert (shape.size, shape.batch_size) == (STAGES[stage].size, STAGES[stage].batch_size)
