"""Where a bag's camera is and how it sees: from its CameraInfo and the static transforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader

from orpose_models.annotations import Camera
from orpose_models.multiview.transforms import pose_matrix
from orpose_models.runtime.bag_depth import camera_base
from orpose_models.runtime.bags import damage_as_input_error, open_bag

_INFO_TYPE, _TF_TYPE = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"


def camera_of_bag(path: Path, image_topic: str) -> Camera | None:
    """The camera of an image topic; None if no `camera_info` beside it tells a focal length.

    Its `room_from_camera` leads to the frame that the static transforms end in, None where they do not know it or one
    of them is no rotation.

    Raises:
        InputError: The bag is damaged.
    """
    topic = f"{camera_base(image_topic)}/camera_info"
    with open_bag(path) as reader, damage_as_input_error(path):
        info = next(_messages(reader, topic, _INFO_TYPE), None)
        if info is None or info.k[0] <= 0 or info.width == 0:
            return None
        parents = {
            transform.child_frame_id: (transform.header.frame_id, _pose(transform.transform))
            for message in _messages(reader, "/tf_static", _TF_TYPE)
            for transform in message.transforms
        }
    return Camera(
        camera_id=info.header.frame_id,
        model=info.distortion_model,
        image_size=(info.width, info.height),
        fx=float(info.k[0]),
        fy=float(info.k[4]),
        cx=float(info.k[2]) + 0.5,  # ROS counts from the middle of the first pixel
        cy=float(info.k[5]) + 0.5,
        distortion=tuple(float(value) for value in info.d),
        room_from_camera=_to_root(parents, info.header.frame_id),
    )


def _messages(reader: AnyReader, topic: str, msgtype: str) -> Any:
    connections = [item for item in reader.connections if (item.topic, item.msgtype) == (topic, msgtype)]
    if not connections:  # rosbags takes an empty list for all of them
        return
    for connection, _, cdr in reader.messages(connections):
        yield reader.deserialize(cdr, connection.msgtype)


def _to_root(parents: dict[str, tuple[str, NDArray[np.float64] | None]], frame: str) -> NDArray[np.float64] | None:
    """`(4, 4)` from a frame to the last one above it; None if nothing is above it or a pose is not known."""
    pose, seen = np.eye(4), {frame}
    if frame not in parents:
        return None
    while frame in parents:
        frame, above = parents[frame]
        if above is None or frame in seen:  # a circle leads nowhere
            return None
        pose = above @ pose
        seen.add(frame)
    return pose


def _pose(transform: Any) -> NDArray[np.float64] | None:
    """`(4, 4)` of a geometry_msgs/Transform; None if it is no rotation."""
    q, t = transform.rotation, transform.translation
    try:
        return pose_matrix((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
    except ValueError:
        return None
