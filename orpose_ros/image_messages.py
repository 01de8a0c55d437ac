"""ROS image messages to BGR arrays: through cv_bridge where ROS brings it and it can, else through rosbags-image."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.image import image_to_cvimage

from orpose_models.runtime.messages import Converter, bgr8_from_message


def bgr8_from_ros(message: Any) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs Image or CompressedImage as `(H, W, 3)` uint8 BGR, the same pixels either way.

    Raises:
        ImageError: Size 0, an unknown encoding, a step or length that does not fit, a file that cannot be decoded.
    """
    bridge = cv_bridge_converter()
    return bgr8_from_message(message, bridge) if bridge else bgr8_from_message(message)


@functools.cache
def cv_bridge_converter() -> Converter | None:
    """cv_bridge's conversion; None where it is not installed or would crash.

    The cv_bridge of Humble and Jazzy crashes with numpy 2 or later (vision_opencv issue 535); `orpose doctor` says so.
    """
    if int(np.__version__.split(".")[0]) >= 2 or importlib.util.find_spec("cv_bridge") is None:
        return None
    library = importlib.import_module("cv_bridge")
    bridge = library.CvBridge()

    def convert(image: Any, encoding: str | None) -> NDArray:
        try:
            return np.asarray(bridge.imgmsg_to_cv2(image, encoding or "passthrough"))
        except library.CvBridgeError:  # Humble's knows neither uyvy, yuyv, nv12 nor nv21
            return np.asarray(image_to_cvimage(image, encoding))

    return convert
