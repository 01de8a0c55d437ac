"""What a camera's status says of its counts, stamps and ages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from orpose_ros.counts import FrameCounts, StampCadence
from orpose_ros.diagnostics import CameraHealth, age_problem

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN
MS = 1_000_000


@pytest.fixture
def source() -> Any:
    """A subscription on which images come."""
    return SimpleNamespace(
        topic="/camera/image_raw", transport_lost=0, cadence=StampCadence(), has_begun=True,
        silence=lambda watchdog_s: "", describe=lambda: "",
    )  # fmt: skip


@pytest.fixture
def health() -> CameraHealth:
    return CameraHealth("camera", FrameCounts())


def test_without_a_problem_it_is_ok(health, source):
    health.ages_ms.extend([-20.0, 30.0, 4000.0])
    status = health.status("/orpose", source, 5.0, {})
    assert (status.level, status.message) == (OK, "OK")


def test_who_switched_it_off_reads_so(health, source):
    status = health.status("/orpose", source, 5.0, {}, is_enabled=False)
    assert (status.level, status.message) == (OK, "disabled: images are received and dropped")
    status = health.status("/orpose", source, 5.0, {}, ["no depth"], is_enabled=False)
    assert (status.level, status.message) == (WARN, "disabled: images are received and dropped; no depth")


@pytest.mark.parametrize(
    ("ages_ms", "expected"),
    [
        ([], ""),
        ([30.0, 9000.0, 40.0], ""),  # one late answer is no wrong clock
        ([120_000.0] * 3, "answers are 120.0 s old"),
        ([-400.0] * 3, "stamps are 0.4 s ahead"),
        ([-1.7e12], "use_sim_time"),
    ],
)
def test_ages_are_judged(health, source, ages_ms, expected):
    assert expected in age_problem(ages_ms)
    health.ages_ms.extend(ages_ms)
    assert health.status("/orpose", source, 5.0, {}).level == (WARN if expected else OK)
    assert health.status("/orpose", source, 5.0, {}).level == OK, "ages of answers since the last status"


def test_a_pause_of_the_camera_is_no_loss(health, source):
    for stamp_ms in [*range(0, 2000, 100), *range(12_000, 14_000, 100)]:
        source.cadence.observe(stamp_ms * MS)
    status = health.status("/orpose", source, 5.0, {})
    assert status.message == "stamps jumped ahead by 10.1 s: the camera paused, or its clock was set"
    assert health.status("/orpose", source, 5.0, {}).message == "OK"


@pytest.mark.parametrize("by_middleware", [False, True])
def test_lost_images_have_their_cure(health, source, by_middleware):
    if by_middleware:
        source.transport_lost = 2
    else:
        for stamp_ms in [*range(0, 2000, 100), 2200, 2300]:
            source.cadence.observe(stamp_ms * MS)
    assert "images did not arrive; offer them reliably" in health.status("/orpose", source, 5.0, {}).message


def test_incomplete_answers_are_reported_once(health, source):
    health._counts.count_incomplete("no font")
    message = health.status("/orpose", source, 5.0, {}).message
    assert message == "1 answers without all of statistics, markers, TF, overlay, room: no font"
    assert health.status("/orpose", source, 5.0, {}).message == "OK"
