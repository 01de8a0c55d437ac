"""One `PoseEstimator` over all backends. Needs no torch, except for the torch backend."""

from orpose_models.runtime.config import RuntimeConfig
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.estimator import PoseEstimator, PreparedImage
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.types import FrameResult, Person

__all__ = ["FrameResult", "Person", "PoseEstimator", "PreparedImage", "RuntimeConfig", "privacy_downsample", "to_bgr8"]
