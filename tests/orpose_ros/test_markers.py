"""Skeletons stand about where a pinhole camera saw them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from orpose_models.placing import pelvis_guess_m
from orpose_models.runtime.types import Person, TrackState
from orpose_models.skeleton import H36M17, H36M17_SOURCES
from orpose_ros.markers import marker_array


def flat_person(pelvis_m: tuple[float, float, float], image_size: tuple[int, int]) -> Person:
    """A person parallel to the image, as a camera with the assumed lens sees it."""
    random = np.random.default_rng(0)
    coco_mm = np.column_stack([random.uniform(-400, 400, 17), random.uniform(-900, 900, 17), np.zeros(17)])
    h36m_mm = np.stack([coco_mm[list(sources)].mean(0) for sources in H36M17_SOURCES])
    coco_m = (coco_mm - h36m_mm[0]) / 1000 + np.array(pelvis_m)
    pixels = 0.9 * image_size[0] * coco_m[:, :2] / coco_m[:, 2:] + np.array(image_size) / 2
    return Person(
        score=1.0,
        bbox_xywh=np.zeros(4, np.float32),
        keypoints=np.column_stack([pixels, np.ones(17)]).astype(np.float32),
        keypoints_3d=np.column_stack([h36m_mm - h36m_mm[0], np.ones(17)]).astype(np.float32),
    )


@pytest.mark.parametrize("pelvis_m", [(0.0, 0.0, 3.0), (1.0, -0.5, 5.0), (-2.0, 0.4, 8.0)])
def test_pelvis_is_found_again(pelvis_m):
    person = flat_person(pelvis_m, (640, 480))
    np.testing.assert_allclose(pelvis_guess_m(person, (640, 480)), pelvis_m, rtol=1e-3, atol=1e-3)


def test_all_joints_on_one_pixel_are_not_infinitely_far():
    person = flat_person((0, 0, 3), (640, 480))
    person.keypoints[:, :2] = 5
    assert np.isfinite(pelvis_guess_m(person, (640, 480))).all()


def test_markers_replace_the_earlier_ones():
    person = flat_person((0, 0, 3), (640, 480))
    header = Header(frame_id="camera")
    markers = marker_array((person, person), (640, 480), header).markers
    assert markers[0].action == Marker.DELETEALL
    assert [marker.id for marker in markers[1:]] == [0, 0, 1, 1]
    assert {marker.header.frame_id for marker in markers} == {"camera"}
    joints, limbs = markers[1:3]
    assert (len(joints.points), len(limbs.points)) == (17, 2 * len(H36M17.limbs))
    assert joints.points[0].z == pytest.approx(3.0, rel=1e-3)
    assert marker_array((), (640, 480), header).markers[1:] == []


def test_people_whose_track_is_not_confirmed_are_faint():
    person = flat_person((0, 0, 3), (640, 480))
    shown = [person, *(replace(person, track_id=1, track_state=state) for state in list(TrackState)[1:])]
    markers = marker_array(tuple(shown), (640, 480), Header()).markers[1:]
    assert [marker.color.a < 1 for marker in markers[::2]] == [False, True, False, True]
