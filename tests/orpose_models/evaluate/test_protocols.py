"""Each protocol's statistic is its main metric; tables by joint and by size; nobody to measure against is an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, annotations_from_dict
from orpose_models.errors import AnnotationError, InputError
from orpose_models.evaluate.bones import BONES, bones_of_labels, bones_of_results
from orpose_models.evaluate.protocols import PROTOCOLS, joints_of, metrics_of, sizes_of, statistic_of
from orpose_models.evaluate.results import Result
from orpose_models.skeleton import COCO17, MVOR10

Case = tuple[AnnotationSet, list[Result]]
#: `multiview` measures moments of several cameras, `identity` recordings, `places` metres: files of their own.
OF_IMAGES = [name for name in PROTOCOLS if name not in ("multiview", "identity", "places")]


@pytest.fixture
def case_3d(random_case: Callable[..., Case]) -> Case:
    """With 3D poses, and detections whose 3D is 10 mm off per axis on average."""
    annotations, results = random_case(0, images=12)
    rng = np.random.default_rng(0)
    poses = rng.normal(0, 300, (len(annotations.persons), 17, 3))
    poses[:, 0] = (poses[:, 1] + poses[:, 4]) / 2  # the pelvis is between the hips
    flags = np.full((17, 1), 2.0)
    persons = tuple(
        replace(p, keypoints_3d=np.hstack([pose, flags])) for p, pose in zip(annotations.persons, poses, strict=True)
    )
    for result, pose in zip(results, poses, strict=False):
        noisy = pose + rng.normal(0, 10, (17, 3))
        result["keypoints_3d"] = np.hstack([noisy - noisy[:1], flags]).ravel().tolist()
    return replace(annotations, persons=persons), results


@pytest.mark.parametrize("protocol", OF_IMAGES)
def test_the_statistics_of_all_images_are_the_metrics(case_3d: Case, protocol: str) -> None:
    everything = np.ones(len(case_3d[0].images))
    metrics = metrics_of(protocol, *case_3d)
    expected = [metrics[name] for name in PROTOCOLS[protocol].resampled]
    assert statistic_of(protocol, *case_3d)(everything) == pytest.approx(expected)
    assert min(expected) > 0
    assert PROTOCOLS[protocol].resampled[0] == PROTOCOLS[protocol].main


@pytest.mark.parametrize("protocol", OF_IMAGES)
def test_the_statistics_of_some_images_are_the_metrics_of_those(case_3d: Case, protocol: str) -> None:
    annotations, results = case_3d
    some = {1, 3, 4, 8, 9, 11}
    weights = np.array([float(i in some) for i in range(12)])
    images = tuple(image for image in annotations.images if image.image_id in some)
    persons = tuple(person for person in annotations.persons if person.image_id in some)
    part = replace(annotations, images=images, persons=persons)
    expected = metrics_of(protocol, part, [r for r in results if r["image_id"] in some])
    found = statistic_of(protocol, *case_3d)(weights)
    assert found == pytest.approx([expected[name] for name in PROTOCOLS[protocol].resampled])


@pytest.mark.parametrize(("protocol", "names"), [("coco-keypoints", COCO17.joint_names), ("mpjpe", MVOR10.joint_names)])
def test_joints(case_3d: Case, protocol: str, names: tuple[str, ...]) -> None:
    assert tuple(joints_of(protocol, *case_3d)) == names


def test_boxes_have_no_joints(case_3d: Case) -> None:
    with pytest.raises(InputError, match="coco-bbox measures boxes"):
        joints_of("coco-bbox", *case_3d)


@pytest.mark.parametrize("protocol", OF_IMAGES)
def test_sizes_add_up(case_3d: Case, protocol: str) -> None:
    metrics, table = metrics_of(protocol, *case_3d), sizes_of(protocol, *case_3d)
    for size, row in table.items():
        if row["persons"] == 0:
            assert row[PROTOCOLS[protocol].main] == -1, size
    if protocol == "mvor-pck":
        mean = sum(row["mean"] * row["persons"] for row in table.values() if row["persons"])
        assert mean / metrics["persons"] == pytest.approx(metrics["mean"])
    if protocol == "mpjpe":
        assert sum(row["persons"] for row in table.values()) == metrics["found"]
    if protocol == "found":
        assert sum(row["persons"] for row in table.values()) == metrics["persons"]
        found = sum(row["recall"] * row["persons"] for row in table.values() if row["persons"])
        assert found == pytest.approx(metrics["found"])


@pytest.mark.parametrize("protocol", OF_IMAGES)
def test_without_results(case_3d: Case, protocol: str) -> None:
    nothing = metrics_of(protocol, case_3d[0], [])[PROTOCOLS[protocol].main]
    assert nothing == (-1 if protocol == "mpjpe" else 0)
    values = statistic_of(protocol, case_3d[0], [])(np.ones(12))
    assert np.isnan(values).all() if protocol == "mpjpe" else (values == 0).all()


@pytest.mark.parametrize("protocol", [name for name in OF_IMAGES if name != "found"])
def test_without_labels(case_3d: Case, protocol: str) -> None:
    crowd = tuple(replace(person, is_crowd=True) for person in case_3d[0].persons)
    with pytest.raises(AnnotationError, match=protocol):
        metrics_of(protocol, replace(case_3d[0], persons=crowd), case_3d[1])


def test_bones_within_and_across_tracks(random_case: Callable[..., Case]) -> None:
    annotations, _ = random_case(0)
    body = np.random.default_rng(1).normal(0, 300, (17, 3))
    # two people, one a tenth larger, each seen twice; a fifth pose without track
    scales = [(1.0, 0), (1.0, 0), (1.1, 1), (1.1, 1), (1.0, -1)]
    results = [
        {"image_id": 0, "track_id": track, "keypoints_3d": np.column_stack([scale * body, np.ones(17)]).ravel()}
        for scale, track in scales
    ]
    row = bones_of_results(annotations, results)[BONES[1]]
    length = float(np.linalg.norm(body[1] - body[2]))  # right hip to right knee
    assert row["mean_mm"] == pytest.approx(length * 1.04)
    assert row["sd_mm"] == pytest.approx(length * np.std([1, 1, 1.1, 1.1, 1]))
    assert row["track_sd_mm"] == pytest.approx(0, abs=1e-9)
    assert row["persons"] == 5


def test_bones_of_labels_leave_unknown_joints_out(case_3d: Case) -> None:
    persons = case_3d[0].persons
    assert persons[0].keypoints_3d is not None
    hidden = persons[0].keypoints_3d.copy()
    hidden[2, 3] = 0  # right knee
    annotations = replace(case_3d[0], persons=(replace(persons[0], keypoints_3d=hidden, is_crowd=False),))
    table = bones_of_labels(annotations)
    assert table is not None
    assert (table["right_hip-right_knee"]["persons"], table["right_hip-right_knee"]["mean_mm"]) == (0, -1)
    assert table["left_hip-left_knee"]["persons"] == 1
    assert bones_of_labels(replace(annotations, persons=())) is None


def test_bones_need_3d(random_case: Callable[..., Case]) -> None:
    annotations, results = random_case(0)
    with pytest.raises(InputError, match="result 0: keypoints_3d: missing"):
        bones_of_results(annotations, results)


def test_bones_need_17_joints(random_case: Callable[..., Case]) -> None:
    with pytest.raises(InputError, match="result 0: keypoints_3d: expected 68 numbers, got 51"):
        bones_of_results(random_case(0)[0], [{"image_id": 0, "keypoints_3d": [0.0] * 51}])


def test_wepdtof_labels_measure_limbs_alone() -> None:
    joints = [value for i in range(14) for value in (10.0 * i + 20, 40.0 + i, 2)]
    image = {"id": 7, "file_name": "a.jpg", "width": 512, "height": 512}
    person = {"id": 0, "image_id": 7, "category_id": 1, "bbox": [10, 30, 150, 60], "keypoints": joints}
    labels = annotations_from_dict({"images": [image], "annotations": [person]}, source="wepdtof")
    assert labels.persons[0].keypoints is not None
    found = labels.persons[0].keypoints.copy()
    found[:5, :2] = 500  # a face that the labels do not have cannot be wrong
    results = [{"image_id": 7, "score": 1.0, "bbox": person["bbox"], "keypoints": found.ravel().tolist()}]
    assert metrics_of("coco-keypoints", labels, results)["AP"] == pytest.approx(1)
    assert metrics_of("coco-bbox", labels, results)["AP"] == pytest.approx(1)
    table = joints_of("coco-keypoints", labels, results)
    assert (table["nose"]["pck"], table["left_wrist"]["pck"], table["left_wrist"]["labelled"]) == (-1, 100, 1)
