"""What the runtime returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class TrackState(IntEnum):
    """How sure an identity is; the numbers are those of orpose_msgs/Person."""

    NONE = 0
    TENTATIVE = 1
    CONFIRMED = 2
    LOST = 3


class RootSource(IntEnum):
    """How a person's place is known; the numbers are those of orpose_msgs/Person."""

    NONE = 0
    DEPTH = 1
    SIZE = 2
    VIEWS = 3


@dataclass(frozen=True, eq=False)
class Root:
    """Where a person's pelvis is.

    Attributes:
        position_m: `(3,)` m, camera frame (x right, y down, z forward).
        covariance_m2: `(3, 3)` m².
        source: Measured with depth, or estimated from how large an average adult would appear.
    """

    position_m: NDArray[np.float64]
    covariance_m2: NDArray[np.float64]
    source: RootSource


@dataclass(frozen=True, eq=False)
class Person:
    """One person in one frame.

    Attributes:
        score: Box score in [0, 1].
        bbox_xywh: `(4,)` float32 left, top, width, height, px of the frame.
        keypoints: `(17, 3)` float32 COCO-17 x, y (px of the frame, may lie outside the box), score in [0, 1].
        keypoints_3d: `(17, 4)` float32 Human3.6M-17 x, y, z (mm, pelvis-relative; camera axes: x right,
            y down, z forward), score.
        track_id: Identity over time, -1 for none.
        track_state: How sure that identity is; LOST: not seen in this frame, everything else is a prediction.
        keypoints_3d_metric: `(17, 4)` float32 Human3.6M-17 x, y, z (m, camera frame), score; NaN and score 0 where
            unknown. None without depth or calibration.
        root: Where the pelvis is; None without calibration.
    """

    score: float
    bbox_xywh: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    keypoints_3d: NDArray[np.float32]
    track_id: int = -1
    track_state: TrackState = TrackState.NONE
    keypoints_3d_metric: NDArray[np.float32] | None = None
    root: Root | None = None


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What was found in one frame. Holds no pixels.

    Attributes:
        persons: Those with a score of at least `score_threshold`, best first; with tracking, also weaker ones who
            continue a track.
        image_size: Width and height in px of the frame that coordinates refer to.
        timings_ms: Stage -> duration in ms: preprocess, infer, post (and decode, where the caller decoded).
        downsample: The privacy downsampling factor that was applied.
        candidates: All with a score of at least `min_score`, best first, for evaluation; `persons` are
            among them.
        nms_converged: False when the graph's non-maximum suppression ran out of iterations: a duplicate may be left.
    """

    persons: tuple[Person, ...]
    image_size: tuple[int, int]
    timings_ms: dict[str, float] = field(default_factory=dict)
    downsample: float = 1.0
    candidates: tuple[Person, ...] = ()
    nms_converged: bool = True
