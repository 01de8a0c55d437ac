"""Pictures: where things are drawn, in which colour, and that they never show more than the given image."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from orpose_models.draw import (
    VideoWriter,
    contact_sheet,
    display_image,
    draw_3d,
    draw_persons,
    fit_into,
    overlay,
    person_color,
    side_color,
)
from orpose_models.runtime.types import FrameResult, Person, TrackState
from orpose_models.skeleton import COCO17, H36M17

BLUE, ORANGE = (255, 170, 60), (50, 130, 255)


def person(score=0.9, joint_score=0.9, track_id=-1) -> Person:
    keypoints = np.zeros((17, 3), np.float32)
    keypoints[:, 0] = np.linspace(100, 300, 17)
    keypoints[:, 1] = np.linspace(100, 200, 17)
    keypoints[:, 2] = joint_score
    keypoints[7, :2], keypoints[9, :2] = (400, 100), (400, 300)  # left forearm, alone
    keypoints_3d = np.zeros((17, 4), np.float32)
    keypoints_3d[:, 3] = 1
    keypoints_3d[10, :3] = [0, -900, 0]
    return Person(score, np.array([90, 80, 320, 240], np.float32), keypoints, keypoints_3d, track_id)


def result(*persons: Person, size=(640, 480)) -> FrameResult:
    return FrameResult(persons=persons, image_size=size, candidates=persons)


def test_colours_by_side():
    names = COCO17.joint_names
    assert side_color(COCO17, (names.index("left_elbow"), names.index("left_wrist"))) == BLUE
    assert side_color(COCO17, (names.index("right_hip"), names.index("right_knee"))) == ORANGE
    assert side_color(COCO17, (names.index("left_hip"), names.index("right_hip"))) not in (BLUE, ORANGE)
    assert side_color(COCO17, (names.index("nose"), names.index("left_eye"))) == BLUE
    assert side_color(H36M17, (0, 7)) not in (BLUE, ORANGE)


def test_persons_have_distinct_colours_which_tracks_keep():
    colors = [person_color(i, person()) for i in range(8)]
    assert len(set(colors)) == 8
    assert person_color(0, person(track_id=3)) == person_color(5, person(track_id=3)) == colors[3]


@pytest.mark.parametrize(
    ("image_size", "frame_size", "expected"),
    [
        ((640, 480), (640, 480), (640, 480)),
        ((53, 40), (640, 480), (640, 480)),
        ((53, 40), (53, 40), (689, 520)),  # 13 times
        ((1920, 1080), (1920, 1080), (1920, 1080)),
        ((71, 40), (1920, 1080), (1920, 1080)),
        ((8000, 6000), (8000, 6000), (1920, 1440)),
        ((1, 1), (1, 1), (640, 640)),
        ((480, 640), (480, 640), (480, 640)),
    ],
)
def test_display_size(image_size, frame_size, expected):
    shown = display_image(np.zeros((image_size[1], image_size[0], 3), np.uint8), frame_size)
    assert (shown.shape[1], shown.shape[0]) == expected


def test_left_forearm_is_drawn_in_the_left_colour():
    drawn = draw_persons(np.zeros((480, 640, 3), np.uint8), result(person()))
    assert tuple(int(v) for v in drawn[200, 400]) == BLUE


@pytest.mark.parametrize("state", [TrackState.TENTATIVE, TrackState.LOST])
def test_people_whose_track_is_not_confirmed_are_faint(state):
    image = np.zeros((480, 640, 3), np.uint8)
    sure, unsure = (
        draw_persons(image, result(replace(person(track_id=3), track_state=track_state)))
        for track_state in (TrackState.CONFIRMED, state)
    )
    assert 0 < unsure.max() < 0.6 * sure.max()


def test_positions_scale_with_the_drawing():
    # A small frame of its own: 64x48 is drawn 10 times as large, and so is the forearm from (40, 10) to (40, 30).
    small = person()
    small.keypoints[:, :2] /= 10
    small.bbox_xywh[:] /= 10
    drawn = draw_persons(np.zeros((48, 64, 3), np.uint8), result(small, size=(64, 48)))
    assert drawn.shape == (480, 640, 3)
    assert tuple(int(v) for v in drawn[200, 400]) == BLUE


def test_weak_joints_are_faint_and_hollow():
    image = np.zeros((480, 640, 3), np.uint8)
    weak = draw_persons(image, result(person(joint_score=0.1)))
    strong = draw_persons(image, result(person()))
    assert 0 < int(weak[200, 399:402, 0].max()) < 150 < int(strong[200, 400, 0])
    # The wrist's circle is empty in the middle.
    assert weak[300, 400].sum() < strong[300, 400].sum()


def test_input_is_not_changed_and_nobody_draws_nothing():
    image = np.full((480, 640, 3), 7, np.uint8)
    image.flags.writeable = False
    draw_persons(image, result(person()))
    assert np.array_equal(draw_persons(image, result()), image)


def test_wild_coordinates_do_no_harm():
    wild = person()
    wild.keypoints[0, :2] = [1e9, -1e9]
    wild.bbox_xywh[:] = [-1000, -1000, 5000, 5000]
    assert draw_persons(np.zeros((480, 640, 3), np.uint8), result(wild)).shape == (480, 640, 3)


def test_3d_view_shows_the_head_above_the_pelvis():
    view = draw_3d([person()], (120, 480), turn_deg=0)
    assert view.shape == (480, 120, 3)
    # 900 mm above the pelvis, which is in the middle of the 120 px cell of 2200 mm: at 60 - 49 px.
    assert view[20, 60].max() > 150
    assert view[100, 60].max() < 50
    assert overlay(np.zeros((480, 640, 3), np.uint8), result(person())).shape == (480, 760, 3)


def test_contact_sheet():
    images = [np.full((48, 64, 3), value, np.uint8) for value in (50, 100, 150, 200, 250)]
    sheet = contact_sheet(images, ["a"] * 5, columns=2, tile_width=64)
    assert sheet.shape == (3 * (48 + 20 + 4) + 4, 2 * 68 + 4, 3)
    assert (sheet[4 + 24, 4 + 32] == 50).all()
    assert (sheet[4 + 24, 4 + 68 + 32] == 100).all()
    assert (sheet[4 + 72 + 24, 4 + 32] == 150).all()
    with pytest.raises(ValueError, match="no images"):
        contact_sheet([])


def test_fit_into_keeps_the_aspect():
    fitted = fit_into(np.full((10, 40, 3), 255, np.uint8), (100, 100))
    assert (fitted[50] == 255).all()
    assert (fitted[30] < 50).all()


def test_video(tmp_path):
    path = tmp_path / "v.mp4"
    with VideoWriter(path, 10) as video:
        for value in (50, 200):
            video.write(np.full((49, 63, 3), value, np.uint8))  # odd sides
        video.write(np.full((20, 20, 3), 255, np.uint8))  # another size
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (item := capture.read())[0]:
        frames.append(item[1])
    assert [f.shape for f in frames] == [(50, 64, 3)] * 3
    assert abs(float(frames[1][10:40, 10:50].mean()) - 200) < 8
