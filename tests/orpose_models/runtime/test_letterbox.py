"""Where a frame lies in the network's input: computed by hand, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orpose_models.runtime.letterbox import PADDING_BGR, Letterbox

INPUT = (640, 480)


@pytest.mark.parametrize(
    ("frame", "content", "point_in_input", "point_in_frame"),
    [
        ((640, 480), (0, 0, 640, 480), (320, 240), (320, 240)),
        # 1920x1080: scale 1/3, 640x360, 60 px above and below.
        ((1920, 1080), (0, 60, 640, 360), (320, 240), (960, 540)),
        ((1920, 1080), (0, 60, 640, 360), (0, 60), (0, 0)),
        ((1920, 1080), (0, 60, 640, 360), (640, 420), (1920, 1080)),
        # Portrait 480x640: scale 3/4, 360x480, 140 px on either side.
        ((480, 640), (140, 0, 360, 480), (140, 0), (0, 0)),
        ((480, 640), (140, 0, 360, 480), (500, 480), (480, 640)),
        ((480, 640), (140, 0, 360, 480), (230, 120), (120, 160)),
        # A small frame of its own (no frame_size): 53x40 scales by 12, 636x480, 2 px on either side.
        ((53, 40), (2, 0, 636, 480), (2 + 12, 24), (1, 2)),
        ((1, 1), (80, 0, 480, 480), (320, 240), (0.5, 0.5)),
        ((8000, 6000), (0, 0, 640, 480), (64, 48), (800, 600)),
    ],
)
def test_mapping_by_hand(frame, content, point_in_input, point_in_frame):
    letterbox = Letterbox.fit(frame, INPUT)
    assert letterbox.content_xywh == content
    np.testing.assert_allclose(letterbox.points_to_frame(np.array(point_in_input, float)), point_in_frame, atol=1e-4)
    np.testing.assert_allclose(letterbox.points_to_input(np.array(point_in_frame, float)), point_in_input, atol=1e-4)


def test_a_reduced_image_of_the_frame_is_not_shifted():
    # 53x40 of a 640x480 frame: the image is stretched over the whole input, as the frame would be.
    letterbox = Letterbox.fit((640, 480), INPUT)
    small = np.zeros((40, 53, 3), np.uint8)
    small[20:, 26:] = 255
    enlarged = letterbox.apply(small)
    assert enlarged.shape == (480, 640, 3)
    # The step lies at 26 / 53 of the width and at half the height.
    assert int((enlarged[400, :, 0] > 127).argmax()) == pytest.approx(26 / 53 * 640, abs=1)
    assert int((enlarged[:, 600, 0] > 127).argmax()) == pytest.approx(240, abs=1)


def test_padding_and_content():
    letterbox = Letterbox.fit((1920, 1080), INPUT)
    padded = letterbox.apply(np.full((1080, 1920, 3), 9, np.uint8))
    assert (padded[60:420] == 9).all()
    assert (padded[:60] == PADDING_BGR).all()
    assert (padded[420:] == PADDING_BGR).all()


def test_fitting_image_is_not_copied():
    image = np.zeros((480, 640, 3), np.uint8)
    assert Letterbox.fit((640, 480), INPUT).apply(image) is image


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 9000), st.integers(1, 9000)),
    st.tuples(st.sampled_from([320, 640, 1280]), st.sampled_from([240, 480, 960])),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_round_trip(frame, input_size, fraction):
    letterbox = Letterbox.fit(frame, input_size)
    left, top, width, height = letterbox.content_xywh
    assert left >= 0 and left + width <= input_size[0] and top >= 0 and top + height <= input_size[1]
    point = np.array(frame) * np.array(fraction)
    back = letterbox.points_to_frame(letterbox.points_to_input(point))
    # Float32 in an input of up to 1280 px: 1e-4 px there, times the scale.
    np.testing.assert_allclose(back, point, atol=1e-3 * max(1, frame[0] / width, frame[1] / height))
