"""Identities by hand-counted recordings, crowds, several cameras; jitter and lag of motions that are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.errors import AnnotationError, BackendError, InputError
from orpose_models.evaluate import identity as module
from orpose_models.evaluate.identity import identity
from orpose_models.evaluate.motion import motion
from orpose_models.evaluate.protocols import joints_of, metrics_of, sizes_of, statistic_of
from orpose_models.evaluate.recordings import recordings

STEP_NS = 100_000_000


def label(frame: int, number: int, x: float, **changes: Any) -> PersonLabel:
    """Somebody at x whose joints are one row of 17."""
    points = np.column_stack([x + np.arange(17.0), np.full(17, 50.0), np.full(17, 2.0)])
    pose = np.column_stack([np.full(17, 10 * x), np.arange(17.0) * 50, np.full(17, 3000.0), np.full(17, 2.0)])
    bbox = np.array([x, 0, 40, 100.0])
    values = {"keypoints": points, "track_id": number, "keypoints_3d": pose, **changes}
    return PersonLabel(1000 * frame + number, frame, bbox, **values)


def result(frame: int, number: int, x: float, joints_x: float | None = None) -> dict[str, Any]:
    points = np.column_stack([(x if joints_x is None else joints_x) + np.arange(17.0), np.full(17, 50.0), np.ones(17)])
    pose = np.column_stack([np.zeros(17), np.arange(17.0) * 50, np.zeros(17), np.ones(17)])
    metric = pose + np.array([10 * (x if joints_x is None else joints_x), 0, 3000, 0])
    return {
        "image_id": frame, "bbox": [x, 0, 40, 100.0], "score": 0.9, "track_id": number,
        "keypoints": points.ravel().tolist(), "keypoints_3d": pose.ravel().tolist(),
        "keypoints_3d_metric": metric.ravel().tolist(),
    }  # fmt: skip


def recording(frames: int, *people: PersonLabel, sequence: str = "a", camera: str = "c") -> AnnotationSet:
    images = tuple(
        LabelledImage(i, f"{i}.jpg", 640, 480, camera, sequence, i, 10**18 + i * STEP_NS) for i in range(frames)
    )
    return AnnotationSet(images, people)


@pytest.fixture(scope="module")
def trackeval() -> None:
    pytest.importorskip("trackeval", reason=f"needs TrackEval: {module.INSTALL}")


@pytest.fixture
def two_walkers() -> AnnotationSet:
    return recording(10, *(label(f, n, 300 * n + 2 * f) for f in range(10) for n in (0, 1)))


def test_perfect_identities(trackeval, two_walkers):
    results = [result(f, 7 + n, 300 * n + 2 * f) for f in range(10) for n in (0, 1)]
    found = identity(two_walkers, results)
    assert [found[name] for name in ("HOTA", "MOTA", "IDF1", "id_switches")] == [1, 1, 1, 0]
    assert (found["persons"], found["found"]) == (20, 20)


def test_identities_that_are_exchanged_half_way(trackeval, two_walkers):
    results = [result(f, n if f < 5 else 1 - n, 300 * n + 2 * f) for f in range(10) for n in (0, 1)]
    found = identity(two_walkers, results)
    assert (found["id_switches"], found["IDF1"]) == (2, 0.5)
    assert found["MOTA"] == pytest.approx(1 - 2 / 20)
    # Every person's detections agree with half of an identity: AssA = 5 / 15.
    assert found["HOTA"] == pytest.approx(np.sqrt(1 / 3))


def test_misses_and_inventions(trackeval, two_walkers):
    results = [result(f, 0, 2 * f) for f in range(10)] + [result(f, 5, 500) for f in range(10)]
    found = identity(two_walkers, results)
    assert (found["MOTA"], found["found"], found["IDF1"]) == (0, 10, 0.5)


def test_candidates_without_a_track_do_not_count(trackeval, two_walkers):
    results = [result(f, n, 300 * n + 2 * f) for f in range(10) for n in (0, 1)]
    assert identity(two_walkers, [*results, result(3, -1, 500)])["MOTA"] == 1


def test_who_lies_on_a_crowd_is_no_invention(trackeval):
    people = [label(f, 0, 0) for f in range(5)] + [label(f, 9, 300, is_crowd=True) for f in range(5)]
    results = [result(f, 0, 0) for f in range(5)] + [result(f, 1, 305) for f in range(5)]
    assert identity(recording(5, *people), results)["MOTA"] == 1
    unnamed = [replace(p, is_crowd=False, track_id=None) if p.is_crowd else p for p in people]
    assert identity(recording(5, *unnamed), results)["MOTA"] == 1


def test_cameras_are_recordings_of_their_own(trackeval):
    """The same number in two cameras is no identity: nothing is exchanged between them."""
    first = recording(5, *(label(f, 0, 0) for f in range(5)))
    images = tuple(replace(image, image_id=image.image_id + 5, camera_id="d") for image in first.images)
    people = tuple(replace(p, image_id=p.image_id + 5) for p in first.persons)
    both = replace(first, images=first.images + images, persons=first.persons + people)
    results = [result(f, 3 if f < 5 else 4, 0) for f in range(10)]
    found = identity(both, results)
    assert (found["IDF1"], found["id_switches"], found["persons"]) == (1, 0, 10)


def test_nobody_found(trackeval, two_walkers):
    found = identity(two_walkers, [])
    assert (found["MOTA"], found["IDF1"], found["found"], found["jitter_px_s"]) == (0, 0, 0, -1)


def test_what_cannot_be_measured(two_walkers):
    with pytest.raises(InputError, match="orpose run --tracking"):
        identity(two_walkers, [result(0, -1, 0)])
    with pytest.raises(AnnotationError, match="no image has a sequence"):
        identity(replace(two_walkers, images=tuple(replace(i, sequence=None) for i in two_walkers.images)), [])
    with pytest.raises(AnnotationError, match="nobody in the sequences has a track_id"):
        identity(recording(2, label(0, 0, 0, track_id=None)), [])
    with pytest.raises(InputError, match="has no intervals"):
        statistic_of("identity", two_walkers, [])
    for function, option in ((joints_of, "--per-joint"), (sizes_of, "--per-size")):
        with pytest.raises(InputError, match=option):
            function("identity", two_walkers, [])


def test_without_trackeval_the_error_names_the_install(two_walkers, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "trackeval.metrics", None)
    with pytest.raises(BackendError, match="pip install --no-deps trackeval"):
        metrics_of("identity", two_walkers, [result(0, 1, 0)])


# --- motion ---------------------------------------------------------------------------------------------------------


def moving(found_x) -> dict[str, float]:
    """One person on a curved walk, 30 frames; `found_x` of the frame is where joints are found."""
    frames = 30
    annotations = recording(frames, *(label(f, 0, where(f)) for f in range(frames)))
    results = [result(f, 1, where(f), found_x(f)) for f in range(frames)]
    return motion(recordings(annotations, results))


def where(frame: float) -> float:
    return float(100 + 60 * np.sin(frame / 8))


def test_what_follows_exactly_neither_trembles_nor_lags():
    assert moving(where) == pytest.approx(
        {"jitter_px_s": 0, "jitter_mm_s": 0, "jitter_metric_mm_s": 0, "lag_ms": 0}, abs=1e-6
    )


def test_a_constant_offset_is_no_jitter():
    assert moving(lambda frame: where(frame) + 12)["jitter_px_s"] == pytest.approx(0, abs=1e-6)


def test_trembling_by_hand():
    # 3 px to and fro at 10 frames/s: 60 px/s; metric joints are ten times that in mm.
    found = moving(lambda frame: where(frame) + 3 * (-1) ** frame)
    assert found["jitter_px_s"] == pytest.approx(60)
    assert found["jitter_metric_mm_s"] == pytest.approx(600)
    assert found["jitter_mm_s"] == pytest.approx(0), "the pelvis trembles along"


@pytest.mark.parametrize("delay_ms", [30.0, 80.0])
def test_a_delay_is_found(delay_ms):
    assert moving(lambda frame: where(frame - delay_ms / 100))["lag_ms"] == pytest.approx(delay_ms, abs=2)


def test_a_change_of_identity_is_no_motion():
    annotations = recording(4, *(label(f, 0, 0) for f in range(4)))
    results = [result(f, f, 0, 5.0 * f) for f in range(4)]
    assert motion(recordings(annotations, results))["jitter_px_s"] == -1
