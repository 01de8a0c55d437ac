"""Error of people fused from 1, 2, 3, ... views, in the room and relative to the pelvis, on the same people.

A moment's images, those of one sequence and frame index (or stamp), are fused by `orpose_models.multiview` with the
label file's own calibration; once with every camera alone, once with every two, and so on. A fused person is the one
that most of its sights are of (boxes overlap in the image), however far off it is: no error is left out because it is
large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet, Camera, LabelledImage, PersonLabel
from orpose_models.errors import AnnotationError
from orpose_models.evaluate.mpjpe import ROWS
from orpose_models.evaluate.results import Result
from orpose_models.multiview.associate import fuse_views
from orpose_models.multiview.fuse import FusedPerson
from orpose_models.multiview.sights import Sight, sights_of
from orpose_models.runtime.results import person_from_entry
from orpose_models.skeleton import H36M17, MVOR10, mvor10_from_h36m17
from orpose_models.units import MILLIMETRES_PER_METRE

#: A detection overlaps its label at least this much (intersection over union).
_MIN_OVERLAP = 0.3
#: Candidates with a lower score are nobody: what the node would publish.
SCORE_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class RoomError:
    """One labelled person, fused from some of the cameras that have them in view.

    Attributes:
        image_id: First image of the moment.
        views: Number of cameras used, all of which have a label of the person.
        seen_by: How many of them found the person; 0: missed.
        room_mm: `(8,)` error of the upper-body joints in the room, NaN where not labelled; None if missed.
        relative_mm: `(8,)` the same relative to the pelvis, NaN where that is not labelled.
        joints_mm: `(10,)` of MVOR's joints in the room.
        mixed: Sights of somebody else, or of nobody, that were fused in.
        split: Further fused people who are this one.
    """

    image_id: int
    views: int
    seen_by: int = 0
    room_mm: NDArray[np.float64] | None = None
    relative_mm: NDArray[np.float64] | None = None
    joints_mm: NDArray[np.float64] | None = None
    mixed: int = 0
    split: int = 0


def multiview(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """For k views: `room_k_mm`, `relative_k_mm` (means over upper-body joints of those found), `found_k`, `missed_k`.

    `fused_mm` is the error in the room with the most views. `mixed` and `split`, with the most views: fused people
    with a sight of another person in them, and labelled people that stayed in two parts. Errors are -1 where nobody is
    left.

    Args:
        annotations: With cameras (`room_from_camera`), keypoints_3d, person_id, sequence and frame_index.
        results: With bbox, score, keypoints and keypoints_3d.

    Raises:
        AnnotationError: Something of that is missing.
    """
    return summary(room_errors(annotations, results))


def summary(errors: Sequence[RoomError]) -> dict[str, float]:
    """The metrics of `multiview`."""
    last = best_fused(errors)
    most = last[0].views
    metrics = {"fused_mm": _mean([error.room_mm for error in last])}
    for views in range(1, most + 1):
        own = [error for error in errors if error.views == views]
        metrics |= {
            f"room_{views}_mm": _mean([error.room_mm for error in own]),
            f"relative_{views}_mm": _mean([error.relative_mm for error in own]),
            f"found_{views}": float(sum(error.seen_by > 0 for error in own)),
            f"missed_{views}": float(sum(error.seen_by == 0 for error in own)),
        }
    return metrics | {
        "mixed": float(sum(error.mixed > 0 for error in last)),
        "split": float(sum(error.split > 0 for error in last)),
    }


def best_fused(errors: Sequence[RoomError]) -> list[RoomError]:
    """Those with the most views."""
    most = max(error.views for error in errors)
    return [error for error in errors if error.views == most]


def per_joint(errors: Sequence[RoomError]) -> dict[str, dict[str, float]]:
    """MVOR joint -> its error in the room with each number of views, `room_k_mm`."""
    table: dict[str, dict[str, float]] = {name: {} for name in MVOR10.joint_names}
    for views in range(1, max(error.views for error in errors) + 1):
        own = [error.joints_mm for error in errors if error.views == views and error.joints_mm is not None]
        for row, name in enumerate(MVOR10.joint_names):
            table[name][f"room_{views}_mm"] = _mean([joints[row : row + 1] for joints in own])
    return table


def room_errors(annotations: AnnotationSet, results: Sequence[Result]) -> list[RoomError]:
    """One entry for every labelled person, moment and choice of cameras that all have the person in view.

    Only people whom the moment's most cameras have in view, so that numbers of views are compared on the same people.
    Arguments and errors as for `multiview`.
    """
    cameras = _cameras(annotations)
    found: dict[int, list[Result]] = {}
    for result in results:
        if result["score"] >= SCORE_THRESHOLD:
            found.setdefault(int(result["image_id"]), []).append(result)
    labels = annotations.persons_by_image()
    moments = list(_moments(annotations))
    most = max((len(images) for images in moments), default=0)
    if most < 2:
        raise AnnotationError("multiview: no moment has two images; it needs sequence, frame_index and camera_id")
    errors = [error for images in moments for error in _moment_errors(images, cameras, labels, found, most)]
    if not errors:
        raise AnnotationError(f"multiview: nobody with keypoints_3d and person_id is labelled in {most} views at once")
    return errors


def _moment_errors(
    images: Sequence[LabelledImage],
    cameras: Mapping[str, Camera],
    labels: Mapping[int, Sequence[PersonLabel]],
    found: Mapping[int, Sequence[Result]],
    most: int,
) -> Iterator[RoomError]:
    people = [_people(labels[image.image_id]) for image in images]
    everywhere = set.intersection(*(set(own) for own in people)) if len(images) == most else set()
    if not everywhere:
        return
    sights: dict[str, list[Sight]] = {}
    owner: dict[int, int | None] = {}
    for image, own in zip(images, people, strict=True):
        camera = cameras[str(image.camera_id)]
        sights[camera.camera_id] = []
        for entry in found.get(image.image_id, []):
            for sight in sights_of(camera, [person_from_entry(entry)]):
                sights[camera.camera_id].append(sight)
                owner[id(sight)] = _overlapping(entry, own)
    truth = {number: _in_room(people[0][number], cameras[str(images[0].camera_id)]) for number in everywhere}
    for views in range(1, most + 1):
        for chosen in combinations(sights, views):
            fused = fuse_views({name: sights[name] for name in chosen})
            for number in everywhere:
                yield _judge(images[0].image_id, views, number, truth[number], fused, owner)


def _judge(
    image_id: int,
    views: int,
    number: int,
    truth: NDArray,
    fused: Sequence[FusedPerson],
    owner: Mapping[int, int | None],
) -> RoomError:
    def votes(person: FusedPerson) -> Counter[int | None]:
        return Counter(owner[id(sight)] for sight in person.sights)

    own = [person for person in fused if votes(person).most_common(1)[0][0] == number]
    if not own:
        return RoomError(image_id, views)
    best = max(own, key=lambda person: votes(person)[number])
    joints = best.joints[:, :3]
    known = mvor10_from_h36m17(truth)[:, 3] > 0
    true_root = np.where(truth[H36M17.root, 3] > 0, truth[H36M17.root, :3], np.nan)
    away = mvor10_from_h36m17(joints - truth[:, :3])
    relative = mvor10_from_h36m17(joints - joints[H36M17.root] - truth[:, :3] + true_root)
    room_mm, relative_mm = (
        np.where(known, np.sqrt((each**2).sum(axis=1)), np.nan) * MILLIMETRES_PER_METRE for each in (away, relative)
    )
    return RoomError(
        image_id,
        views,
        seen_by=votes(best)[number],
        room_mm=room_mm[ROWS],
        relative_mm=relative_mm[ROWS],
        joints_mm=room_mm,
        mixed=len(best.sights) - votes(best)[number],
        split=len(own) - 1,
    )


def _cameras(annotations: AnnotationSet) -> Mapping[str, Camera]:
    if not annotations.cameras:
        raise AnnotationError("multiview: the label file has no cameras")
    for name, camera in annotations.cameras.items():
        if camera.room_from_camera is None:
            raise AnnotationError(f"multiview: camera {name}: room_from_camera: missing")
    for image in annotations.images:
        if image.sequence is not None and image.camera_id is not None and image.camera_id not in annotations.cameras:
            raise AnnotationError(
                f"multiview: image {image.image_id}: camera_id: {image.camera_id!r} is none of the label file's cameras"
                f" ({', '.join(annotations.cameras)})"
            )
    return annotations.cameras


def _moments(annotations: AnnotationSet) -> Iterator[list[LabelledImage]]:
    """The images of each moment, one a camera, in order of the cameras' names."""
    groups: dict[tuple[str, int], dict[str, LabelledImage]] = {}
    for image in annotations.images:
        if image.sequence is not None and image.camera_id is not None:
            groups.setdefault((image.sequence, image.moment), {})[image.camera_id] = image
    for own in groups.values():
        yield [own[name] for name in sorted(own)]


def _people(labels: Sequence[PersonLabel]) -> dict[int, PersonLabel]:
    return {
        label.person_id: label
        for label in labels
        if not label.is_crowd and label.keypoints_3d is not None and label.person_id is not None
    }


def _overlapping(entry: Result, own: Mapping[int, PersonLabel]) -> int | None:
    """Whose box this is."""
    overlaps = {number: _overlap(np.asarray(entry["bbox"], float), label.bbox) for number, label in own.items()}
    best = max(overlaps, key=lambda number: overlaps[number], default=None)
    return best if best is not None and overlaps[best] >= _MIN_OVERLAP else None


def _overlap(first: NDArray, second: NDArray) -> float:
    sides = np.minimum(first[:2] + first[2:], second[:2] + second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.maximum(sides, 0).prod())
    return shared / max(float(first[2:].prod() + second[2:].prod()) - shared, 1e-9)


def _in_room(label: PersonLabel, camera: Camera) -> NDArray[np.float64]:
    """`(17, 4)` joints in the room, m, and flag."""
    assert label.keypoints_3d is not None and camera.room_from_camera is not None
    pose = camera.room_from_camera
    joints = label.keypoints_3d[:, :3] / MILLIMETRES_PER_METRE @ pose[:3, :3].T + pose[:3, 3]
    return np.column_stack([joints, label.keypoints_3d[:, 3]])


def _mean(errors: Sequence[NDArray[np.float64] | None]) -> float:
    known = [error for error in errors if error is not None]
    values = np.concatenate(known) if known else np.array([])
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else -1.0
