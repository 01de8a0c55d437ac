"""Labels of a rendered view: visible and amodal boxes, COCO-17 with visibility, Human3.6M-17 in the camera frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import PersonLabel
from orpose_models.skeleton import h36m17_scores_from_coco17
from training.synthetic_or.rendering.cover import cloth_before
from training.synthetic_or.rendering.renderer import Rendered
from training.synthetic_or.rooms.cameras import Camera
from training.synthetic_or.scenes.people import Person
from training.synthetic_or.scenes.scene import Scene

#: How far the body's surface may lie before a joint inside it (m), COCO-17 order; loose clothes included.
BODY_RADIUS_M = np.array(
    [0.09, 0.09, 0.09, 0.11, 0.11, 0.15, 0.15, 0.11, 0.11, 0.09, 0.09, 0.2, 0.2, 0.17, 0.17, 0.13, 0.13]
)
_TOLERANCE_M = 0.04
_VISIBLE_SHARE = 0.35
#: People of whom less than this can be seen (pixels of a 640x480 image) are regions to ignore, not people.
_SMALLEST_AREA = 260.0


def label_people(scene: Scene, camera: Camera, rendered: Rendered) -> list[PersonLabel]:
    """One label for every person with a visible pixel; ids are left at 0 for the caller to number."""
    return [label for person in scene.people if (label := _label(person, camera, rendered)) is not None]


def _label(person: Person, camera: Camera, rendered: Rendered) -> PersonLabel | None:
    mask = rendered.instances == person.instance
    area = int(mask.sum())
    if area == 0:
        return None
    width, height = camera.image_size
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    bbox = np.array([columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]], float)
    joints = camera.camera_points_from_room(person.body.coco)
    pixels = camera.project(joints)
    visibility = _visibility(person, joints, pixels, camera, rendered)
    keypoints = np.where((visibility > 0)[:, None], np.column_stack([pixels, visibility]), 0.0)
    joints_3d = camera.camera_points_from_room(person.body.h36m) * 1000.0
    outline = camera.project(camera.camera_points_from_room(person.body.vertices[::20]))
    outline = outline[np.isfinite(outline).all(1)]
    outline = outline if len(outline) else np.stack([bbox[:2], bbox[:2] + bbox[2:]])
    low, high = outline.min(0), outline.max(0)
    scale = width * height / (640.0 * 480.0)
    return PersonLabel(
        annotation_id=0,
        image_id=0,
        bbox=bbox,
        keypoints=keypoints,
        area=float(area),
        is_crowd=_ignored(person, visibility, area, scale),
        bbox_amodal=np.array([*low, *(high - low)]),
        instance_id=person.instance,
        person_id=person.instance,
        role=person.role,
        outfit=person.outfit.kind,
        keypoints_3d=np.column_stack([joints_3d, _flags_3d(visibility)]),
    )


def _visibility(person: Person, joints: NDArray, pixels: NDArray, camera: Camera, rendered: Rendered) -> NDArray:
    """COCO's v of the 17 joints: 2 seen, 1 hidden, 0 outside the image."""
    width, height = camera.image_size
    visibility = np.zeros(17)
    reach = 2 if width >= 480 else 1
    thickness = np.maximum(BODY_RADIUS_M, cloth_before(person, camera)) + _TOLERANCE_M
    distances = np.linalg.norm(joints, axis=1)
    for j, (u, v) in enumerate(pixels):
        if not (np.isfinite(u) and np.isfinite(v) and 0 <= u < width and 0 <= v < height):
            continue
        window = np.s_[max(0, int(v) - reach) : int(v) + reach + 1, max(0, int(u) - reach) : int(u) + reach + 1]
        own = rendered.instances[window] == person.instance
        near = rendered.distance_m[window] > distances[j] - thickness[j]
        visibility[j] = 2 if (own & near).mean() > _VISIBLE_SHARE else 1
    return visibility


def _flags_3d(visibility: NDArray) -> NDArray:
    """Human3.6M flags from COCO's: the lowest of a joint's sources, but at least 1 (3D is always known here)."""
    return np.maximum(h36m17_scores_from_coco17(visibility), 1)


def _ignored(person: Person, visibility: NDArray, area: int, scale: float) -> bool:
    seen = visibility == 2
    if person.role == "patient":  # a person when the head or a third of the body is visible
        return not (seen[:5].sum() >= 2 or seen.mean() >= 1 / 3)
    return area < _SMALLEST_AREA * scale or seen.sum() < 2
