"""Frame -> network input and back: scaled without distortion, centred, padded.

Coordinates follow the pixel-edges convention: 0 is the left edge of the first pixel, W the right edge of the last one.
So a resize is a pure scaling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: BGR of the padding: the mean colour of the normalisation, near zero for the network.
PADDING_BGR = (104, 116, 124)


@dataclass(frozen=True)
class Letterbox:
    """Where a frame lies in the network's input.

    The aspect is the FRAME's: a 53x40 image of a 640x480 frame fills a 640x480 input wholly.

    Attributes:
        frame_size: Width and height in px of the original frame, which results refer to.
        input_size: Width and height in px of the network's input.
        content_xywh: The input's rectangle that the frame fills, whole px.
    """

    frame_size: tuple[int, int]
    input_size: tuple[int, int]
    content_xywh: tuple[int, int, int, int]

    @classmethod
    def fit(cls, frame_size: tuple[int, int], input_size: tuple[int, int]) -> Letterbox:
        scale = min(input_size[0] / frame_size[0], input_size[1] / frame_size[1])
        width, height = (
            min(limit, max(1, round(side * scale))) for side, limit in zip(frame_size, input_size, strict=True)
        )
        return cls(frame_size, input_size, ((input_size[0] - width) // 2, (input_size[1] - height) // 2, width, height))

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The network's input `(H, W, 3)` from an image `(h, w, 3)` of the whole frame, at whatever resolution.

        Returns the very same array where its size fits already.
        """
        left, top, width, height = self.content_xywh
        content = _resize(image, (width, height))
        if (width, height) == self.input_size:
            return content
        canvas = np.empty((self.input_size[1], self.input_size[0], 3), np.uint8)
        canvas[:] = PADDING_BGR
        canvas[top : top + height, left : left + width] = content
        return canvas

    def points_to_frame(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points `(..., 2)` x, y from network-input px to frame px."""
        left, top, width, height = self.content_xywh
        scale = np.array([self.frame_size[0] / width, self.frame_size[1] / height], np.float32)
        return ((points - np.array([left, top], np.float32)) * scale).astype(np.float32)

    def points_to_input(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Points `(..., 2)` x, y from frame px to network-input px."""
        left, top, width, height = self.content_xywh
        scale = np.array([width / self.frame_size[0], height / self.frame_size[1]], np.float32)
        return (points * scale + np.array([left, top], np.float32)).astype(np.float32)


def _resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    import cv2

    # Bilinear up; down by area means, since plain bilinear sampling would alias.
    interpolation = cv2.INTER_AREA if size[0] * size[1] < width * height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
