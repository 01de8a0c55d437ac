"""Sets that lifters are measured on: 2D joints and the 3D that belongs to them, of SynthOR and of MVOR.

MVOR labels ten joints of the upper body. Its head stands for both ears, whose mean is the lifter's head; knees and
ankles are unknown, nose and eyes enter no lifter. A 3D pose is taken in every camera that labels the same person in 2D:
turned into that camera's axes, relative to the mean of the hips.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, read_annotations
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.mpjpe import MIN_OKS, best_match
from orpose_models.evaluate.results import Result
from orpose_models.json_values import array_of, list_of, value_of
from orpose_models.runtime.models import REFERENCE_INPUT_SIZE
from orpose_models.skeleton import COCO17, H36M17, MVOR10, MVOR10_FROM_H36M17
from training.data.dataset import LabelConfig
from training.data.geometry import lifter_matrix, moved_points
from training.distill.lifter_noise import NoiseConfig, disturb
from training.distill.lifter_people import MIN_JOINTS, People

#: Confidence of a joint that is labelled but hidden, as in training.
HIDDEN = LabelConfig().hidden_confidence
_COCO_OF_MVOR = [("left_ear", "head"), ("right_ear", "head")] + [
    (name, name) for name in MVOR10.joint_names if name not in ("head", "neck")
]
_COCO_ROWS = [COCO17.index(coco) for coco, _ in _COCO_OF_MVOR]
_MVOR_ROWS = [MVOR10.index(mvor) for _, mvor in _COCO_OF_MVOR]
_HIPS = [MVOR10.index("left_hip"), MVOR10.index("right_hip")]


@dataclass(frozen=True, eq=False)
class LiftSet:
    """N people, each in one view.

    Attributes:
        name: Of the set.
        joints: `(N, 17, 2)` COCO-17, px of a 640x480 frame into which the image is letterboxed.
        confidence: `(N, 17)` in [0, 1]; 0: unknown, its place says nothing.
        boxes: `(N, 4)` xyxy, px likewise.
        truth: `(N, 17, 3)` Human3.6M-17, mm, relative to the mean of the hips, camera axes.
        known: `(N, 17)` bool: which of `truth` is known.
        cameras: `(N,)` names.
        moments: `(N,)` numbers; people of one moment, in whatever camera, share one. The bootstrap draws moments.
    """

    name: str
    joints: NDArray[np.float64]
    confidence: NDArray[np.float64]
    boxes: NDArray[np.float64]
    truth: NDArray[np.float64]
    known: NDArray[np.bool_]
    cameras: NDArray[np.str_]
    moments: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.joints)

    def part(self, rows: NDArray) -> LiftSet:
        """The people of `rows` (bool or numbers)."""
        return replace(self, **{key: value[rows] for key, value in vars(self).items() if key != "name"})


def read_labelled(path: Path, name: str = "labelled") -> LiftSet:
    """People of a label file with 17 joints in 2D and 3D, `MIN_JOINTS` of them within the image or more.

    Raises:
        AnnotationError: The file cannot be read, or nobody in it has both.
    """
    return _set_of(path, name, None)


def read_predicted(path: Path, results: Sequence[Result], name: str = "predicted") -> LiftSet:
    """The same people with the 2D joints and scores that a network found, where it found them (by OKS).

    Raises:
        AnnotationError: As above, or nobody was found.
    """
    return _set_of(path, name, results)


def _set_of(path: Path, name: str, results: Sequence[Result] | None) -> LiftSet:
    annotations = read_annotations(path)
    images = {image.image_id: image for image in annotations.images}
    found: dict[int, list[Result]] = {}
    for result in results or ():
        found.setdefault(int(result["image_id"]), []).append(result)
    rows = []
    for person in annotations.persons:
        if _has_both(person):
            image = images[person.image_id]
            row = _labelled(person, image, annotations)
            seen = {} if results is None else _predicted(person, found.get(person.image_id, []), image)
            if seen is not None:
                rows.append({**row, **seen})
    if not rows:
        raise AnnotationError(
            f"{path}: nobody with 17 keypoints and keypoints_3d to lift; give a file of `orpose synth`"
        )
    return _stacked(name, rows)


def _has_both(person: PersonLabel) -> bool:
    has_2d = person.keypoints is not None and len(person.keypoints) == 17 and person.num_keypoints >= MIN_JOINTS
    return has_2d and person.keypoints_3d is not None and not person.is_crowd


def _labelled(person: PersonLabel, image: LabelledImage, annotations: AnnotationSet) -> dict[str, Any]:
    assert person.keypoints is not None and person.keypoints_3d is not None
    flags = person.keypoints[:, 2]
    return {
        "joints": _in_frame(person.keypoints[:, :2], image),
        "confidence": np.select([flags >= 2, flags >= 1], [1.0, HIDDEN], 0.0),
        "boxes": _box_in_frame(person.bbox, image),
        "truth": person.keypoints_3d[:, :3] - person.keypoints_3d[H36M17.root, :3],
        "known": person.keypoints_3d[:, 3] > 0,
        "cameras": _family(annotations, image),
        "moments": (image.sequence or image.file_name, image.frame_index),
    }


def _family(annotations: AnnotationSet, image: LabelledImage) -> str:
    """A coarse name of the camera by its lens, and by how far it looks down."""
    camera = annotations.cameras.get(str(image.camera_id))
    if camera is None or camera.room_from_camera is None:
        return "unknown"
    if camera.model == "equidistant":
        return "fisheye"
    pitch_deg = np.degrees(np.arcsin(-camera.room_from_camera[2, 2]))
    return "level" if pitch_deg < 20 else "oblique" if pitch_deg < 45 else "steep"


def _predicted(person: PersonLabel, results: Sequence[Result], image: LabelledImage) -> dict[str, Any] | None:
    match = best_match(person, results)
    if match is None or match[1] < MIN_OKS:
        return None
    joints = np.reshape(match[0]["keypoints"], (17, 3)).astype(np.float64)
    return {
        "joints": _in_frame(joints[:, :2], image),
        "confidence": joints[:, 2],
        "boxes": _box_in_frame(match[0]["bbox"], image),
    }


def _in_frame(points: NDArray, image: LabelledImage) -> NDArray[np.float64]:
    return moved_points(points, lifter_matrix((image.width, image.height), REFERENCE_INPUT_SIZE))


def _box_in_frame(bbox_xywh: Iterable[float], image: LabelledImage) -> NDArray[np.float64]:
    x, y, w, h = bbox_xywh
    return _in_frame(np.array([[x, y], [x + w, y + h]]), image).ravel()


# ---------------------------------------------------------------------------------------------------------------- MVOR


def read_mvor(path: Path) -> LiftSet:
    """MVOR's 3D poses in every camera in which the same person has 2D joints, `MIN_JOINTS` or more.

    People without both hips in 3D have no root and are left out. A joint at exactly (0, 0, 0) is missing.

    Raises:
        AnnotationError: The file cannot be read, or is not MVOR's.
    """
    annotations = read_annotations(path)
    try:
        rig = annotations.extra["cameras_info"]["camParams"]
        camera_from_first = [np.linalg.inv(np.reshape(each, (4, 4)))[:3, :3] for each in rig["extrinsics"]]
        names = [f"camera {number}" for number in range(1, len(camera_from_first) + 1)]
    except (KeyError, TypeError, ValueError) as error:
        raise AnnotationError(f"{path}: cameras_info.camParams: not as MVOR has it ({error!r})") from None
    people = {(p.image_id, p.person_id): p for p in annotations.persons if (p.person_id or 0) >= 0}
    images = {image.image_id: image for image in annotations.images}
    rows: list[dict[str, Any]] = []
    for number, entry in enumerate(list_of(annotations.extra, "annotations3D", str(path))):
        where = f"{path}: annotations3D {number}"
        pose = array_of(entry, "keypoints3D", (12, 4), where)[:10]
        ids = value_of(entry, "image_ids", _image_ids, where)
        if len(ids) != len(names):
            raise AnnotationError(f"{where}: image_ids: expected one for each of {len(names)} cameras, got {len(ids)}")
        person_id = value_of(entry, "person_id", int, where)
        for image_id, turn, name in zip(ids, camera_from_first, names, strict=True):
            person = people.get((image_id, person_id))
            if person is not None and (row := _mvor_row(person, pose, turn, images[image_id])) is not None:
                rows.append({**row, "cameras": name, "moments": entry["image_ids"]})
    if not rows:
        raise AnnotationError(f"{path}: no annotations3D that belong to a 2D pose; give MVOR's camma_mvor_2018.json")
    return _stacked("MVOR", rows)


def _image_ids(text: Any) -> list[int]:
    """One a camera, joined by underscores."""
    return [int(each) for each in str(text).split("_")]


def _mvor_row(person: PersonLabel, pose: NDArray, turn: NDArray, image: LabelledImage) -> dict[str, Any] | None:
    known = (pose[:, 3] > 0) & (pose[:, :3] != 0).any(axis=1)
    if person.keypoints is None or not known[_HIPS].all():
        return None
    two = person.keypoints
    seen = (two[:, :2] != 0).any(axis=1) & (two[:, 2] > 0)
    if seen.sum() < MIN_JOINTS:
        return None
    joints, confidence, truth = np.zeros((17, 2)), np.zeros(17), np.zeros((17, 3))
    joints[_COCO_ROWS] = _in_frame(two[_MVOR_ROWS, :2], image)
    confidence[_COCO_ROWS] = (np.where(two[:, 2] >= 2, 1.0, HIDDEN) * seen)[_MVOR_ROWS]
    rows = list(MVOR10_FROM_H36M17)
    truth[rows] = (pose[:, :3] - pose[_HIPS, :3].mean(axis=0)) @ turn.T
    all_known = np.zeros(17, bool)
    all_known[rows] = known
    return {
        "joints": joints,
        "confidence": confidence,
        "boxes": _box_in_frame(person.bbox, image),
        "truth": truth,
        "known": all_known,
    }


def _stacked(name: str, rows: Sequence[dict[str, Any]]) -> LiftSet:
    numbers: dict[str, int] = {}
    moments = [numbers.setdefault(json.dumps(row["moments"]), len(numbers)) for row in rows]
    arrays = {key: np.stack([row[key] for row in rows]) for key in ("joints", "confidence", "boxes", "truth", "known")}
    cameras = np.array([row["cameras"] for row in rows])
    return LiftSet(name=name, **arrays, cameras=cameras, moments=np.array(moments))


# ----------------------------------------------------------------------------------------------------------- disturbed


def disturbed(people: LiftSet, name: str, seed: int) -> LiftSet:
    """The same people with joints and scores as the fit draws them (lifter_noise.py, its defaults)."""
    arrays = (people.joints, people.confidence, people.boxes, people.truth)
    drawn = People(*(torch.from_numpy(each).float() for each in arrays))
    joints, confidence = disturb(drawn, NoiseConfig(), torch.Generator().manual_seed(seed))
    return replace(people, name=name, joints=joints.double().numpy(), confidence=confidence.double().numpy())
