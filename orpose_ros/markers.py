"""3D skeletons as RViz markers, in the camera's optical frame.

For looking at only: without depth or calibration nobody knows how far a person is, so each skeleton is put where a
camera with an ordinary lens would see it as large as it appears.
"""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from orpose_models.draw import is_sure, person_color
from orpose_models.placing import shown_joints_m
from orpose_models.runtime.types import Person
from orpose_models.skeleton import H36M17

_JOINT_DIAMETER_M = 0.06
_LIMB_WIDTH_M = 0.03
#: Opacity of people whose track is not confirmed, or lost.
_FAINT = 0.3


def marker_array(persons: tuple[Person, ...], image_size: tuple[int, int], header: Header) -> MarkerArray:
    """Joints and limbs of each person, after the removal of all earlier markers."""
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for index, person in enumerate(persons):
        color = marker_color(person_color(index, person), 1.0 if is_sure(person) else _FAINT)
        markers += skeleton_markers(header, index, shown_joints_m(person, image_size), color)
    return MarkerArray(markers=markers)


def skeleton_markers(header: Header, index: int, joints_m: NDArray[np.floating], color: ColorRGBA) -> list[Marker]:
    """Joints and limbs of one skeleton `(17, 3)` Human3.6M-17, m, in the header's frame."""
    joints = _marker(header, index, "joints", Marker.SPHERE_LIST, _JOINT_DIAMETER_M, color)
    joints.points = _points(joints_m)
    limbs = _marker(header, index, "limbs", Marker.LINE_LIST, _LIMB_WIDTH_M, color)
    limbs.points = _points(joints_m[np.array(H36M17.limbs).reshape(-1)])
    return [joints, limbs]


def marker_color(bgr: tuple[int, int, int], opacity: float = 1.0) -> ColorRGBA:
    blue, green, red = bgr
    return ColorRGBA(r=red / 255, g=green / 255, b=blue / 255, a=opacity)


def _marker(header: Header, index: int, kind: str, shape: int, size_m: float, color: ColorRGBA) -> Marker:
    marker = Marker(header=header, ns=kind, id=index, type=shape, action=Marker.ADD, color=color)
    marker.scale.x = marker.scale.y = marker.scale.z = size_m
    marker.pose.orientation.w = 1.0
    return marker


def _points(joints_m: NDArray[np.floating]) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in joints_m.tolist()]
