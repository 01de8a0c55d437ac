"""The written label file against itself, the depth and the instance images: nothing of the generator is called."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, Camera, LabelledImage, PersonLabel, read_annotations
from orpose_models.skeleton import H36M17_SOURCES

#: (Human3.6M joint, COCO joint) that are the same point of the body: hips to ankles, shoulders to wrists.
SHARED = [(h36m, sources[0]) for h36m, sources in enumerate(H36M17_SOURCES) if len(sources) == 1]
H36M, COCO = (list(indices) for indices in zip(*SHARED, strict=True))


@pytest.fixture(scope="module")
def labels(moments) -> AnnotationSet:
    return read_annotations(moments / "annotations.json")


def with_image(labels: AnnotationSet) -> list[tuple[LabelledImage, PersonLabel]]:
    images = {image.image_id: image for image in labels.images}
    return [(images[person.image_id], person) for person in labels.persons]


def matrix(camera: Camera) -> np.ndarray:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


def projected(camera: Camera, points: np.ndarray) -> np.ndarray:
    """`(N, 2)` px of camera-frame points, by OpenCV."""
    project = cv2.fisheye.projectPoints if camera.model == "equidistant" else cv2.projectPoints
    pixels, _ = project(points[:, None], np.zeros(3), np.zeros(3), matrix(camera), np.array(camera.distortion))
    return pixels[:, 0]


def read(moments: Path, name: str | None) -> np.ndarray:
    assert name
    return cv2.imread(str(moments / name), cv2.IMREAD_UNCHANGED)


def test_the_set_is_worth_testing(labels):
    assert len(labels.images) == 12 and len(labels.persons) > 15
    assert any(any(camera.distortion) for camera in labels.cameras.values())
    assert {person.role for person in labels.persons} >= {"patient"}


def test_projected_3d_joints_are_the_2d_joints(labels):
    errors = []
    for image, person in with_image(labels):
        camera = labels.cameras[image.camera_id]
        seen = person.keypoints[COCO, 2] > 0
        points = person.keypoints_3d[H36M, :3][seen]
        if len(points):
            errors.append(np.abs(projected(camera, points) - person.keypoints[COCO, :2][seen]).max(1))
    errors = np.concatenate(errors)
    assert len(errors) > 200
    assert errors.max() < 0.5


def test_keypoints_lie_in_the_image_or_are_unknown(labels):
    for image, person in with_image(labels):
        known = person.keypoints[:, 2] > 0
        assert ((person.keypoints[known, :2] >= 0) & (person.keypoints[known, :2] <= [image.width, image.height])).all()
        assert (person.keypoints[~known] == 0).all()


def test_depth_at_visible_joints_fits_the_joint(labels, moments):
    """A joint lies inside the body: the surface in front of it is nearer by at most the body's radius, or by what
    a gown stands off hips and knees."""
    behind = []
    for image, person in with_image(labels):
        depth, instances = read(moments, image.depth_file_name), read(moments, image.instances_file_name)
        for h36m, coco in SHARED:
            x, y, v = person.keypoints[coco]
            if v == 2:
                window = np.s_[max(0, int(y) - 1) : int(y) + 2, max(0, int(x) - 1) : int(x) + 2]
                own = instances[window] == person.instance_id
                assert own.any()
                behind.append(person.keypoints_3d[h36m, 2] - np.median(depth[window][own]))
    behind = np.array(behind)
    assert len(behind) > 80
    assert (behind > -30).mean() > 0.98  # mm; a median may touch the far side of a thin wrist
    assert (
        np.percentile(behind, 95) < 240 and np.percentile(behind, 99) < 310
    )  # in small images an arm before the joint may fill half of the window
    assert 20 < np.median(behind) < 120


def test_two_views_give_the_3d_joints_back(labels):
    assert len(errors := triangulation_errors(labels)) > 40
    assert errors.max() < 1e-3


def triangulation_errors(labels: AnnotationSet) -> np.ndarray:
    """m, of joints that two cameras of a scene have in their images, seen at 30 degrees or more from each other.

    Pixels are written to 0.01: at 15 degrees a fisheye of 320x240 px could be 1.4 mm off.
    """
    errors = [np.zeros(0)]
    for (image_a, a), (image_b, b) in combinations(with_image(labels), 2):
        same = image_a.sequence == image_b.sequence and image_a.camera_id != image_b.camera_id
        if not same or a.person_id != b.person_id:
            continue
        both = (a.keypoints[COCO, 2] > 0) & (b.keypoints[COCO, 2] > 0)
        cameras = [labels.cameras[image.camera_id] for image in (image_a, image_b)]
        in_room, angle_deg = triangulated(cameras, [a.keypoints[COCO, :2][both], b.keypoints[COCO, :2][both]])
        pose = cameras[0].room_from_camera
        truth = a.keypoints_3d[H36M, :3][both] / 1000 @ pose[:3, :3].T + pose[:3, 3]
        errors.append(np.linalg.norm(in_room - truth, axis=1)[angle_deg > 30])
    return np.concatenate(errors)


def triangulated(cameras: list[Camera], pixels: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """`(N, 3)` room points, m, nearest to the rays of pixels `(N, 2)` of two cameras, and the rays' angle, degrees."""
    poses = [camera.room_from_camera for camera in cameras]
    rays = [c.lens.rays(p) @ pose[:3, :3].T for c, p, pose in zip(cameras, pixels, poses, strict=True)]
    across = [np.eye(3) - ray[:, :, None] * ray[:, None, :] for ray in rays]
    target = sum(a @ pose[:3, 3] for a, pose in zip(across, poses, strict=True))
    points = np.linalg.solve(across[0] + across[1], target[..., None])[..., 0]
    # Looking at each other is as bad as looking the same way.
    angle_deg = np.degrees(np.arccos(np.clip(np.abs((rays[0] * rays[1]).sum(1)), 0, 1)))
    return points, angle_deg


def test_visible_boxes_contain_the_persons_pixels_exactly(labels, moments):
    by_image = labels.persons_by_image()
    for image in labels.images:
        instances = read(moments, image.instances_file_name)
        people = {person.instance_id: person for person in by_image[image.image_id]}
        assert set(np.unique(instances)) - {0} == set(people)
        for instance, person in people.items():
            rows, columns = np.nonzero(instances == instance)
            x, y, w, h = person.bbox
            assert (x, y) == (columns.min(), rows.min())
            assert (x + w, y + h) == (columns.max() + 1, rows.max() + 1)  # pixel edges
            assert person.area == len(rows)


def test_amodal_boxes_hold_what_is_visible_and_hidden(labels):
    """The undressed body's outline: clothes may stand out of it a little, joints may not."""
    for image, person in with_image(labels):
        x, y, w, h = person.bbox_amodal
        known = person.keypoints[:, 2] > 0
        low, high = np.array([x, y]) - 2, np.array([x + w, y + h]) + 2
        assert ((person.keypoints[known, :2] > low) & (person.keypoints[known, :2] < high)).all(), image.file_name


def test_crowd_flags_follow_what_is_seen(labels):
    """A patient counts as a person when the head or a third of the body is visible, staff with two joints seen."""
    for _, person in with_image(labels):
        seen = person.keypoints[:, 2] == 2
        if person.role == "patient":
            assert person.is_crowd == (seen[:5].sum() < 2 and seen.mean() < 1 / 3)
        elif seen.sum() < 2:
            assert person.is_crowd


def test_3d_flags_are_the_lowest_of_their_sources(labels):
    for _, person in with_image(labels):
        for h36m, sources in enumerate(H36M17_SOURCES):
            assert person.keypoints_3d[h36m, 3] == max(1, person.keypoints[list(sources), 2].min())
