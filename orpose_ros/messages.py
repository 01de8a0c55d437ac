"""What the runtime found as ROS messages."""

from __future__ import annotations

import array
import math

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from orpose_msgs.msg import InferenceStats, Keypoint2D, Keypoint3D, PersonArray, SkeletonDefinition
from orpose_msgs.msg import Person as PersonMessage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from orpose_models.runtime.types import FrameResult, Person, Root, RootSource
from orpose_models.skeleton import COCO17, H36M17, Skeleton
from orpose_models.units import MILLIMETRES_PER_METRE, NANOSECONDS_PER_SECOND

_NO_ROOT = Root(np.full(3, np.nan), np.full((3, 3), np.nan), RootSource.NONE)


def stamp_ns(header: Header) -> int:
    """The header's stamp in ns."""
    return int(header.stamp.sec * NANOSECONDS_PER_SECOND + header.stamp.nanosec)


def person_array(result: FrameResult, header: Header, model_id: str) -> PersonArray:
    """The answer to one image.

    Args:
        result: What the runtime returned for the image.
        header: The image's own.
        model_id: Name and hash of the model.
    """
    return PersonArray(
        header=header,
        image_width=result.image_size[0],
        image_height=result.image_size[1],
        format_2d=COCO17.name,
        format_3d=H36M17.name,
        model_id=model_id,
        downsample=float(result.downsample),
        persons=[person_message(person) for person in result.persons],
    )


def person_message(person: Person) -> PersonMessage:
    left, top, width, height = (float(value) for value in person.bbox_xywh)
    metric = [] if person.keypoints_3d_metric is None else person.keypoints_3d_metric.tolist()
    root = person.root or _NO_ROOT
    x_m, y_m, z_m = root.position_m.tolist()
    return PersonMessage(
        track_id=person.track_id,
        track_state=int(person.track_state),
        score=float(person.score),
        bbox_x=left,
        bbox_y=top,
        bbox_w=width,
        bbox_h=height,
        keypoints_2d=[Keypoint2D(x=x, y=y, score=score) for x, y, score in person.keypoints.tolist()],
        keypoints_3d_rel=[_keypoint_3d(*joint) for joint in person.keypoints_3d.tolist()],
        keypoints_3d_metric=[Keypoint3D(position=Point(x=x, y=y, z=z), score=score) for x, y, z, score in metric],
        root_source=int(root.source),
        root=Point(x=x_m, y=y_m, z=z_m),
        root_covariance=root.covariance_m2.reshape(-1),
    )


def _keypoint_3d(x_mm: float, y_mm: float, z_mm: float, score: float) -> Keypoint3D:
    x, y, z = (value / MILLIMETRES_PER_METRE for value in (x_mm, y_mm, z_mm))
    return Keypoint3D(position=Point(x=x, y=y, z=z), score=score)


def skeleton_definition(skeleton: Skeleton) -> SkeletonDefinition:
    """What the joint indices of a convention mean."""
    return SkeletonDefinition(
        name=skeleton.name,
        joint_names=list(skeleton.joint_names),
        edge_from=[limb[0] for limb in skeleton.limbs],
        edge_to=[limb[1] for limb in skeleton.limbs],
        root=skeleton.root,
    )


def inference_stats(
    header: Header, timings_ms: dict[str, float], age_ms: float, received: int, dropped: int
) -> InferenceStats:
    """The statistics of one image; a stage without a time (the image was dropped) is NaN."""
    decode, preprocess, infer, post = (
        float(timings_ms.get(stage, math.nan)) for stage in ("decode", "preprocess", "infer", "post")
    )
    return InferenceStats(
        header=header,
        decode_ms=decode,
        preprocess_ms=preprocess,
        infer_ms=infer,
        post_ms=post,
        age_ms=age_ms,
        received=received,
        dropped=dropped,
    )


def image_message(pixels: NDArray[np.uint8], header: Header) -> Image:
    """BGR pixels `(H, W, 3)` as a bgr8 image."""
    height, width = pixels.shape[:2]
    image = Image(header=header, height=height, width=width, encoding="bgr8", step=3 * width)
    image.data = array.array("B", pixels.tobytes())  # any other type is checked byte by byte
    return image
