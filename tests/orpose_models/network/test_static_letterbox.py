"""The letterbox inside the graph against the runtime's, in grey levels and in px."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orpose_models.network.static_letterbox import StaticLetterbox
from orpose_models.runtime.letterbox import PADDING_BGR, Letterbox

INPUT_SIZE = (320, 240)
#: Frame -> what OpenCV does with it: means of 2, of 3 and of parts of pixels; bilinear; nothing; bars on either side.
FRAMES = [(640, 480), (960, 540), (641, 482), (53, 40), (100, 300), (320, 240), (320, 200)]


@pytest.mark.parametrize("frame_size", FRAMES)
def test_equals_the_runtimes_within_a_rounding(frame_size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (frame_size[1], frame_size[0], 3), np.uint8)
    expected = Letterbox.fit(frame_size, INPUT_SIZE).apply(frame)
    got = StaticLetterbox(frame_size, INPUT_SIZE)(torch.from_numpy(frame)[None])[0].numpy()
    difference = np.abs(got - expected)
    print(f"{frame_size}: max {difference.max():.2f}, mean {difference.mean():.3f} grey levels")
    # OpenCV rounds to whole levels, and its bilinear weights to 1/2048.
    assert difference.max() <= (0.51 if frame_size[0] * frame_size[1] > 320 * 240 else 1.0)


def test_by_hand() -> None:
    """4x1 px into 8x4 ones: bilinear to twice the size, one line of padding above and below."""
    frame = torch.tensor([0, 100, 200, 40], dtype=torch.uint8).view(1, 1, 4, 1).expand(1, 1, 4, 3)
    got = StaticLetterbox((4, 1), (8, 4))(frame)
    assert got.shape == (1, 4, 8, 3)
    for row in (0, 3):
        assert (got[0, row] == torch.tensor(PADDING_BGR)).all()
    for row in (1, 2):
        assert got[0, row, :, 0].tolist() == [0, 25, 75, 125, 175, 160, 80, 40]


@pytest.mark.parametrize("frame_size", FRAMES)
def test_points_come_back_as_the_runtimes(frame_size: tuple[int, int]) -> None:
    points = torch.rand(5, 17, 2) * 300
    letterbox = StaticLetterbox(frame_size, INPUT_SIZE)
    expected = Letterbox.fit(frame_size, INPUT_SIZE).points_to_frame(points.numpy())
    np.testing.assert_allclose(letterbox.points_to_frame(points).numpy(), expected, rtol=1e-5, atol=1e-4)


def test_boxes_are_cut_to_the_frame() -> None:
    boxes = torch.tensor([[0.0, 0, 320, 240], [10, 40, 20, 50], [0, 0, 320, 10]])  # the last lies in the padding
    got = StaticLetterbox((640, 360), INPUT_SIZE).boxes_to_frame(boxes)
    assert got.tolist() == [[0, 0, 640, 360], [20, 20, 40, 40], [0, 0, 640, 0]]
