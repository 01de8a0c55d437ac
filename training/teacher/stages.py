"""What the three stages of a teacher take and give. Pixels are those of the image, counted from its edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

ItemT = TypeVar("ItemT")
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """One view of test-time augmentation."""

    scale: float = 1.0
    flip: bool = False


PLAIN = View()


@dataclass(frozen=True, eq=False)
class Boxes:
    """People in one image, best first: `xyxy (N, 4)` px, `scores (N,)` in [0, 1]."""

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]

    @staticmethod
    def sorted(xyxy: NDArray, scores: NDArray) -> Boxes:
        order = np.argsort(-scores, kind="stable")
        return Boxes(np.asarray(xyxy, np.float32).reshape(-1, 4)[order], np.asarray(scores, np.float32)[order])

    def __len__(self) -> int:
        return len(self.scores)


class BoxStage(Protocol):
    """Finds people."""

    def detect(self, images: Sequence[Image], scale: float = 1.0) -> list[Boxes]:
        """The people in each image `(H, W, 3)` BGR; `scale` is the detector's input size over its usual one."""
        ...


class KeypointStage(Protocol):
    """Finds the 17 COCO joints of given people."""

    def heatmaps(self, image: Image, boxes: NDArray[np.float32], view: View) -> Tensor:
        """Heatmaps `(N, 17, h, w)` of the people in `boxes (N, 4)` px.

        Whatever the view, cells lie where the plain view has them and joints have their own side, so that heatmaps of
        several views can be averaged.
        """
        ...

    def decode(self, heatmaps: Tensor, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Joints `(N, 17, 3)`: x, y px, confidence in [0, 1]."""
        ...


class LiftStage(Protocol):
    """Puts 2D joints into 3D."""

    def lift(self, joints: NDArray, confidence: NDArray) -> NDArray[np.float32]:
        """Human3.6M-17 `(N, 17, 3)` mm, pelvis-relative, camera axes.

        Args:
            joints: COCO-17 `(N, 17, 2)` px of a 640x480 frame, or of the network's input scaled to 480 lines.
            confidence: `(N, 17)` in [0, 1] or bool; joints of 0 are unknown and enter as 0 px.
        """
        ...


def chunks(items: Sequence[ItemT], size: int) -> Iterator[Sequence[ItemT]]:
    """The items, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
