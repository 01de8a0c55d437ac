"""Rooms seen by overhead fisheyes: the same promises as for other cameras, kept up to the rim of the image."""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, read_annotations
from orpose_models.skeleton import H36M17_SOURCES
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate
from training.synthetic_or.rooms.cameras import Camera

SHARED = [(h36m, sources[0]) for h36m, sources in enumerate(H36M17_SOURCES) if len(sources) == 1]
H36M, COCO = (list(indices) for indices in zip(*SHARED, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("fisheye")
    generate(SynthConfig(images=10, views=2, size="160x120", depth=True, seed=1, cameras="fisheye"), out, workers=1)
    return out


@pytest.fixture(scope="module")
def labels(folder) -> AnnotationSet:
    return read_annotations(folder / "annotations.json")


def test_the_label_file_says_equidistant(labels):
    assert {camera.model for camera in labels.cameras.values()} == {"equidistant"}
    assert all(len(camera.distortion) == 4 for camera in labels.cameras.values())


def test_opencv_projects_the_3d_joints_onto_the_2d_joints(labels):
    errors, radii = [], []
    images = {image.image_id: image for image in labels.images}
    for person in labels.persons:
        camera = labels.cameras[images[person.image_id].camera_id]
        seen = person.keypoints[COCO, 2] > 0
        if not seen.any():
            continue
        points = person.keypoints_3d[H36M, :3][seen]
        matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
        pixels = cv2.fisheye.projectPoints(
            points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(camera.distortion)
        )[0][:, 0]
        errors.append(np.abs(pixels - person.keypoints[COCO, :2][seen]).max(1))
        radii.append(np.degrees(np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])))
    errors, angles_deg = np.concatenate(errors), np.concatenate(radii)
    assert len(errors) > 60
    assert errors.max() < 0.5
    assert angles_deg.min() < 45 and angles_deg.max() > 60  # below the camera and towards the rim


def test_outside_the_image_circle_there_is_nothing(folder, labels):
    corners = 0
    for image in labels.images:
        camera = labels.cameras[image.camera_id]
        lens = Camera(
            camera.image_size, camera.fx, camera.fy, camera.cx, camera.cy, camera.distortion, np.eye(4), camera.model
        )
        outside = np.ones(image.width * image.height, bool)
        outside[lens.rays.pixels] = False
        outside = outside.reshape(image.height, image.width)
        depth = cv2.imread(str(folder / image.depth_file_name), cv2.IMREAD_UNCHANGED)
        instances = cv2.imread(str(folder / image.instances_file_name), cv2.IMREAD_UNCHANGED)
        assert (depth[outside] == 0).all() and (instances[outside] == 0).all()
        assert (depth[~outside] > 0).mean() > 0.99
        picture = cv2.imread(str(folder / image.file_name))
        if outside.any():
            assert np.median(picture[outside]) < 5 and picture[outside].mean() < 6  # JPEG rings near the circle
        corners += outside.any()
    assert corners > 0


def test_depth_at_seen_joints_lies_before_them_along_the_axis(folder, labels):
    behind = []
    images = {image.image_id: image for image in labels.images}
    for person in labels.persons:
        depth = cv2.imread(str(folder / images[person.image_id].depth_file_name), cv2.IMREAD_UNCHANGED)
        for h36m, coco in SHARED:
            x, y, v = person.keypoints[coco]
            if v == 2:
                window = depth[max(0, int(y) - 1) : int(y) + 2, max(0, int(x) - 1) : int(x) + 2]
                behind.append(person.keypoints_3d[h36m, 2] - np.median(window))
    assert len(behind) > 25
    assert -60 < np.median(behind) < 120  # mm: the body's radius, seen at an angle
    assert np.percentile(behind, 90) < 300


def test_two_fisheyes_give_the_3d_joints_back(labels):
    errors = []
    images = {image.image_id: image for image in labels.images}
    for a, b in combinations(labels.persons, 2):
        image_a, image_b = images[a.image_id], images[b.image_id]
        both = (a.keypoints[COCO, 2] > 0) & (b.keypoints[COCO, 2] > 0)
        if image_a.sequence != image_b.sequence or image_a is image_b or a.person_id != b.person_id or not both.any():
            continue
        cameras = [labels.cameras[image.camera_id] for image in (image_a, image_b)]
        poses = [camera.room_from_camera for camera in cameras]
        rays = [
            camera.lens.rays(person.keypoints[COCO, :2][both]) @ pose[:3, :3].T
            for camera, person, pose in zip(cameras, (a, b), poses, strict=True)
        ]
        across = [np.eye(3) - ray[:, :, None] * ray[:, None, :] for ray in rays]
        target = sum(matrix @ pose[:3, 3] for matrix, pose in zip(across, poses, strict=True))
        points = np.linalg.solve(across[0] + across[1], target[..., None])[..., 0]
        truth = a.keypoints_3d[H36M, :3][both] / 1000 @ poses[0][:3, :3].T + poses[0][:3, 3]
        wide = np.abs((rays[0] * rays[1]).sum(1)) < np.cos(np.radians(20))
        errors.append(np.linalg.norm(points - truth, axis=1)[wide])
    errors = np.concatenate(errors)
    assert len(errors) > 15
    assert errors.max() < 4e-3  # m; labels are rounded to 0.01 px of small images
