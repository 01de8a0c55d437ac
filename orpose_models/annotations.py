"""Label files: COCO keypoint JSON with extra keys ("orpose-1"), plain COCO and MVOR, read into frozen objects.

Pixels use the pixel-edge convention (left edge of an image 0, right edge its width). Keys this module does not know
are kept in `extra` and written back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import AnnotationError
from orpose_models.json_values import (
    array_of,
    kind_of,
    list_of,
    mapping_of,
    numbers_of,
    scalars_of,
    value_of,
)
from orpose_models.label_ranges import check_ranges, check_size
from orpose_models.lens import COEFFICIENTS, Lens
from orpose_models.other_labels import as_coco17, people_of
from orpose_models.skeleton import COCO17, MVOR10, Skeleton

FORMAT = "orpose-1"
CAMERA_MODELS = tuple(COEFFICIENTS)


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera's calibration.

    Attributes:
        model: One of `CAMERA_MODELS`.
        image_size: Width and height, px.
        fx: Focal lengths and principal point, px (fx, fy, cx, cy).
        distortion: Coefficients in the order of ROS' CameraInfo.
        room_from_camera: `(4, 4)` transform, metres; camera axes x right, y down, z forward. None if unknown.
    """

    camera_id: str
    model: str
    image_size: tuple[int, int]
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    room_from_camera: NDArray[np.float64] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def lens(self) -> Lens:
        """Projects camera-frame points to pixels and back."""
        return Lens(self.model, self.fx, self.fy, self.cx, self.cy, self.distortion)


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """One image. `topic` and `stamp_ns` match it with a bag's frame; file names are relative to the image folder."""

    image_id: int
    file_name: str
    width: int
    height: int
    camera_id: str | None = None
    sequence: str | None = None
    frame_index: int | None = None
    stamp_ns: int | None = None
    topic: str | None = None
    depth_file_name: str | None = None
    instances_file_name: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def moment(self) -> int:
        """What images of one sequence have in common that were taken at the same time: frame_index, else stamp_ns.

        Raises:
            AnnotationError: The image has neither.
        """
        moment = self.stamp_ns if self.frame_index is None else self.frame_index
        if moment is None:
            raise AnnotationError(
                f"image {self.image_id} ({self.file_name}): frame_index and stamp_ns: missing; one must name its moment"
            )
        return moment


@dataclass(frozen=True, eq=False)
class PersonLabel:
    """One person in one image.

    Attributes:
        bbox: `(4,)` x, y, width, height of what is VISIBLE, px.
        keypoints: `(J, 3)` x, y (px), v: 2 visible, 1 hidden, 0 unknown. J = 17 (COCO), 10 in MVOR files. With pseudo
            labels the hard ones. None if the file has only the box.
        area: Visible pixels.
        keypoints_3d: `(17, 4)` Human3.6M order, x, y, z in mm, ABSOLUTE in the camera frame, flag 2 / 1 / 0.
        keypoints_soft: `(17, 3)` x, y (px), confidence in [0, 1].
        keypoints_3d_soft: `(17, 4)` x, y, z in mm, pelvis-relative, camera axes, flag; likewise `keypoints_3d_hard`.
        joint_weight: `(17,)` 1 hard, between: weighted, 0 dropped.
        track_id: Constant within a sequence; `person_id` across cameras.
    """

    annotation_id: int
    image_id: int
    bbox: NDArray[np.float64]
    keypoints: NDArray[np.float64] | None = None
    area: float | None = None
    is_crowd: bool = False
    bbox_amodal: NDArray[np.float64] | None = None
    instance_id: int | None = None
    track_id: int | None = None
    person_id: int | None = None
    role: str | None = None
    outfit: str | None = None
    keypoints_3d: NDArray[np.float64] | None = None
    score: float | None = None
    keypoints_soft: NDArray[np.float64] | None = None
    keypoints_3d_soft: NDArray[np.float64] | None = None
    keypoints_3d_hard: NDArray[np.float64] | None = None
    joint_weight: NDArray[np.float64] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def area_px(self) -> float:
        """The area, or the box's where the file has none (MVOR's protocol)."""
        return float(self.bbox[2] * self.bbox[3]) if self.area is None else self.area

    @property
    def num_keypoints(self) -> int:
        return 0 if self.keypoints is None else int((self.keypoints[:, 2] > 0).sum())


@dataclass(frozen=True, eq=False)
class AnnotationSet:
    """A label file. `skeleton` is the convention of all `keypoints` in it; `extra` holds unknown top-level keys.

    `others` counts the file's annotations of other categories than person, which are left out.
    """

    images: tuple[LabelledImage, ...]
    persons: tuple[PersonLabel, ...]
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    skeleton: Skeleton = COCO17
    info: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    others: int = 0

    def persons_by_image(self) -> dict[int, list[PersonLabel]]:
        """Image id -> its persons, in file order; images without persons have an empty list."""
        groups: dict[int, list[PersonLabel]] = {image.image_id: [] for image in self.images}
        for person in self.persons:
            groups[person.image_id].append(person)
        return groups


# ---------------------------------------------------------------------------------------------------------------- read


def read_annotations(path: str | Path) -> AnnotationSet:
    """Reads an orpose-1, plain COCO, MVOR, MVOR+ or WEPDTOF-Pose file (its 14 joints become COCO's 17).

    Raises:
        AnnotationError: Naming file, id and key, if the file is missing or not as data.md says.
    """
    path = Path(path)
    try:
        root = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror}); give the path of a COCO JSON file") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnnotationError(f"{path}: not JSON ({error})") from None
    if not isinstance(root, dict):
        raise AnnotationError(f"{path}: expected a JSON object with 'images' and 'annotations', got a {kind_of(root)}")
    return annotations_from_dict(root, source=str(path))


def annotations_from_dict(root: Mapping[str, Any], *, source: str) -> AnnotationSet:
    """The objects of a decoded COCO JSON; `source` names the file in errors. Of its categories only people are read."""
    list_of(root, "images", source)
    root, others = people_of(root, source)
    root = as_coco17(root, source)
    skeleton = _skeleton_of(root, source)
    images = tuple(_image(entry, i, source) for i, entry in enumerate(list_of(root, "images", source)))
    persons = tuple(_person(e, i, source, skeleton) for i, e in enumerate(list_of(root, "annotations", source)))
    image_ids = {image.image_id for image in images}
    if len(image_ids) != len(images):
        raise AnnotationError(f"{source}: images: ids are not unique ({len(images)} images, {len(image_ids)} ids)")
    seen: set[int] = set()
    for person in persons:
        if person.annotation_id in seen:
            raise AnnotationError(f"{source}: annotation {person.annotation_id}: id: two have it; make ids unique")
        seen.add(person.annotation_id)
        if person.image_id not in image_ids:
            raise AnnotationError(
                f"{source}: annotation {person.annotation_id}: image_id: no image has id {person.image_id}"
            )
    known = {"info", "images", "annotations", "categories", "cameras"}
    return AnnotationSet(
        images=images,
        persons=persons,
        cameras={name: _camera(name, entry, source) for name, entry in mapping_of(root, "cameras", source).items()},
        skeleton=skeleton,
        info=mapping_of(root, "info", source),
        extra={key: value for key, value in root.items() if key not in known},
        others=others,
    )


def _skeleton_of(root: Mapping[str, Any], source: str) -> Skeleton:
    names = root["categories"][0].get("keypoints")
    if not isinstance(names, list | None):
        raise AnnotationError(f"{source}: category person: keypoints: expected a list, got {kind_of(names)}")
    if names is None or len(names) == COCO17.num_joints:
        return COCO17
    if len(names) == MVOR10.num_joints:
        return MVOR10
    raise AnnotationError(f"{source}: category person: keypoints: expected 17 (COCO) or 10 (MVOR), got {len(names)}")


#: JSON key -> (attribute, conversion) of optional scalars.
_IMAGE_SCALARS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "camera_id": ("camera_id", str),
    "sequence": ("sequence", str),
    "frame_index": ("frame_index", int),
    "stamp_ns": ("stamp_ns", int),
    "topic": ("topic", str),
    "depth_file_name": ("depth_file_name", str),
    "instances_file_name": ("instances_file_name", str),
}
_PERSON_SCALARS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "area": ("area", float),
    "iscrowd": ("is_crowd", lambda value: bool(int(value))),
    "instance_id": ("instance_id", int),
    "track_id": ("track_id", int),
    "person_id": ("person_id", int),
    "role": ("role", str),
    "outfit": ("outfit", str),
    "score": ("score", float),
}
#: JSON key of a flat list -> (shape, decimals written).
_PERSON_ARRAYS: dict[str, tuple[tuple[int, ...], int]] = {
    "bbox_amodal": ((4,), 2),
    "keypoints_3d": ((17, 4), 1),
    "keypoints_soft": ((17, 3), 3),
    "keypoints_3d_soft": ((17, 4), 1),
    "keypoints_3d_hard": ((17, 4), 1),
    "joint_weight": ((17,), 3),
}


def _image(entry: Any, index: int, source: str) -> LabelledImage:
    where = f"{source}: image {entry.get('id', f'at position {index}') if isinstance(entry, dict) else index}"
    sides = {name: value_of(entry, name, int, where) for name in ("width", "height")}
    check_size(where, **sides)
    known = {"id", "file_name", "width", "height", *_IMAGE_SCALARS}
    return LabelledImage(
        image_id=value_of(entry, "id", int, where),
        file_name=value_of(entry, "file_name", str, where),
        **sides,
        **scalars_of(entry, _IMAGE_SCALARS, where),
        extra={key: value for key, value in entry.items() if key not in known},
    )


def _person(entry: Any, index: int, source: str, skeleton: Skeleton) -> PersonLabel:
    where = f"{source}: annotation {entry.get('id', f'at position {index}') if isinstance(entry, dict) else index}"
    arrays: dict[str, Any] = {"bbox": array_of(entry, "bbox", (4,), where)}
    if entry.get("keypoints") is not None:
        arrays["keypoints"] = array_of(entry, "keypoints", (skeleton.num_joints, 3), where)
    for key, (shape, _) in _PERSON_ARRAYS.items():
        if entry.get(key) is not None:
            arrays[key] = array_of(entry, key, shape, where)
    scalars = scalars_of(entry, _PERSON_SCALARS, where)
    check_ranges({**arrays, **scalars}, where)
    known = {"id", "image_id", "category_id", "bbox", "keypoints", "num_keypoints", *_PERSON_SCALARS, *_PERSON_ARRAYS}
    return PersonLabel(
        annotation_id=value_of(entry, "id", int, where),
        image_id=value_of(entry, "image_id", int, where),
        **arrays,
        **scalars,
        extra={key: value for key, value in entry.items() if key not in known},
    )


def _camera(name: str, entry: Any, source: str) -> Camera:
    where = f"{source}: camera {name}"
    model = value_of(entry, "model", str, where)
    if model not in CAMERA_MODELS:
        raise AnnotationError(f"{where}: model: expected one of {', '.join(CAMERA_MODELS)}, got {model!r}")
    width, height = array_of(entry, "image_size", (2,), where).astype(int).tolist()
    check_size(f"{where}: image_size", width=width, height=height)
    pose = entry.get("room_from_camera")
    known = {"model", "image_size", "fx", "fy", "cx", "cy", "distortion", "room_from_camera"}
    camera = Camera(
        camera_id=name,
        model=model,
        image_size=(width, height),
        **{key: value_of(entry, key, float, where) for key in ("fx", "fy", "cx", "cy")},
        distortion=tuple(numbers_of(entry, "distortion", where).tolist()) if "distortion" in entry else (),
        room_from_camera=None if pose is None else array_of(entry, "room_from_camera", (4, 4), where),
        extra={key: value for key, value in entry.items() if key not in known},
    )
    try:
        camera.lens  # noqa: B018 - a wrong number of coefficients is noticed here, not when somebody projects
    except ValueError as error:
        raise AnnotationError(f"{where}: {error}") from None
    return camera


# --------------------------------------------------------------------------------------------------------------- write


def write_annotations(path: str | Path, annotations: AnnotationSet) -> None:
    """Writes an orpose-1 file (COCO keypoint JSON with extra keys) by temporary name and rename."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        # json.dumps uses the C encoder, json.dump does not: 10 times faster on large files
        file.write(json.dumps(annotations_to_dict(annotations), separators=(",", ":")))
    os.replace(temporary, path)


def annotations_to_dict(annotations: AnnotationSet) -> dict[str, Any]:
    """The JSON object of a label file; pixels are rounded to 0.01, millimetres to 0.1."""
    skeleton = annotations.skeleton
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.joint_names),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
    }
    return {
        "info": {**annotations.info, "format": FORMAT},
        **annotations.extra,
        "categories": [category],
        "cameras": {name: _camera_to_dict(camera) for name, camera in annotations.cameras.items()},
        "images": [_image_to_dict(image) for image in annotations.images],
        "annotations": [_person_to_dict(person) for person in annotations.persons],
    }


def _camera_to_dict(camera: Camera) -> dict[str, Any]:
    entry: dict[str, Any] = {"model": camera.model, "image_size": list(camera.image_size)}
    entry.update({key: float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")})
    entry["distortion"] = [float(value) for value in camera.distortion]
    if camera.room_from_camera is not None:
        entry["room_from_camera"] = np.asarray(camera.room_from_camera).tolist()
    return {**entry, **camera.extra}


def _image_to_dict(image: LabelledImage) -> dict[str, Any]:
    entry = {
        "id": int(image.image_id),
        "file_name": image.file_name,
        "width": int(image.width),
        "height": int(image.height),
    }
    optional = {key: getattr(image, name) for key, (name, _) in _IMAGE_SCALARS.items()}
    return {**entry, **{key: value for key, value in optional.items() if value is not None}, **image.extra}


def _person_to_dict(person: PersonLabel) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": int(person.annotation_id),
        "image_id": int(person.image_id),
        "category_id": 1,
        "bbox": _flat(person.bbox, 2),
        "area": round(person.area_px, 2),
        "iscrowd": int(person.is_crowd),
    }
    if person.keypoints is not None:
        entry["keypoints"] = _flat(person.keypoints, 2)
        entry["num_keypoints"] = person.num_keypoints
    for key, (name, _) in _PERSON_SCALARS.items():
        value = getattr(person, name)
        if key not in entry and value is not None:
            entry[key] = value.item() if isinstance(value, np.generic) else value
    for key, (_, decimals) in _PERSON_ARRAYS.items():
        if getattr(person, key) is not None:
            entry[key] = _flat(getattr(person, key), decimals)
    return {**entry, **person.extra}


def _flat(values: NDArray | Sequence[float], decimals: int) -> list[float]:
    return np.round(np.asarray(values, dtype=np.float64), decimals).ravel().tolist()
