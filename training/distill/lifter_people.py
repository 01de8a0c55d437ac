"""The people that lifters are fitted on: labelled 2D, its 3D, and, where the camera is known, the pose in the room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from orpose_models.annotations import LabelledImage
from orpose_models.runtime.models import REFERENCE_INPUT_SIZE
from orpose_models.skeleton import COCO17, H36M17
from training.data.dataset import Item, LabelConfig, Size
from training.data.geometry import lifter_matrix, moved_points
from training.data.sample import joints_of
from training.distill.lifter_views import random_views

#: People with fewer joints within the image are left out.
MIN_JOINTS = 6
#: COCO's joints are these of Human3.6M's: the face is where the ears' mean is, which is all that a lifter reads of it.
_H36M_OF_COCO = [H36M17.index("head" if row < 5 else name) for row, name in enumerate(COCO17.joint_names)]
#: Views are made for so many people at a time.
_CHUNK = 8192


@dataclass(frozen=True, eq=False)
class People:
    """N people, each in one view.

    Attributes:
        joints: `(N, 17, 2)` COCO-17, px of the network's input scaled to 480 lines.
        confidence: `(N, 17)` of the label; 0: not within the image, its place says nothing.
        boxes: `(N, 4)` xyxy, px.
        joints_3d: `(N, 17, 3)` Human3.6M-17, mm, pelvis-relative, camera axes.
    """

    joints: Tensor
    confidence: Tensor
    boxes: Tensor
    joints_3d: Tensor

    def __len__(self) -> int:
        return len(self.joints)


def labelled_people(items: Sequence[Item], labels: LabelConfig, size: Size) -> People | None:
    """Everybody with 3D joints who is no crowd, as labelled, for a network's input of `size` (w, h); None: nobody."""
    found = list(_each_labelled(items, labels, size))
    return People(*(torch.stack(each).float() for each in zip(*found, strict=True))) if found else None


def is_anybody_labelled(items: Sequence[Item], labels: LabelConfig) -> bool:
    """Whether `labelled_people` finds anybody."""
    return next(_each_labelled(items, labels, REFERENCE_INPUT_SIZE), None) is not None


def _each_labelled(
    items: Sequence[Item], labels: LabelConfig, size: Size
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Joints, confidence, box and 3D joints of one person after the other."""
    for item in items:
        matrix = lifter_matrix((item.image.width, item.image.height), size)
        for person in item.persons:
            soft, _, soft_3d, _ = joints_of(person, labels.hidden_confidence, labels.hard_hidden)
            if person.is_crowd or (soft[:, 2] > 0).sum() < MIN_JOINTS or not (soft_3d[:, 3] > 0).all():
                continue
            x, y, w, h = person.bbox
            yield (
                torch.from_numpy(moved_points(soft[:, :2], matrix)),
                torch.from_numpy(soft[:, 2]),
                torch.from_numpy(moved_points(np.array([[x, y], [x + w, y + h]]), matrix).ravel()),
                torch.from_numpy(soft_3d[:, :3]),
            )


def poses_in_room(items: Sequence[Item]) -> Tensor:
    """`(M, 17, 3)` m, z up: labelled 3D where the camera's pose is known, once for each person of a moment."""
    poses: dict[tuple, Tensor] = {}
    for item in items:
        pose = None if item.camera is None else item.camera.room_from_camera
        for person in item.persons if pose is not None else ():
            if person.keypoints_3d is None or not (person.keypoints_3d[:, 3] > 0).all():
                continue
            assert pose is not None
            whose = person.person_id if person.person_id is not None else person.annotation_id
            key = (item.image.sequence, _moment(item.image), whose)
            points = person.keypoints_3d[:, :3] / 1000.0 @ pose[:3, :3].T + pose[:3, 3]
            poses.setdefault(key, torch.from_numpy(points).float())
    return torch.stack(list(poses.values())) if poses else torch.zeros(0, 17, 3)


def _moment(image: LabelledImage) -> int | str:
    """What images of one sequence have in common that were taken at the same time; else the image's own name."""
    known = (moment for moment in (image.frame_index, image.stamp_ns) if moment is not None)
    return image.file_name if image.sequence is None else next(known, image.file_name)


def people_in_views(in_room: Tensor, count: int, generator: torch.Generator) -> People:
    """`count` random views of the poses `(M, 17, 3)` m; joints within the image have confidence 1."""
    parts = [_in_views(in_room, min(_CHUNK, count - start), generator) for start in range(0, count, _CHUNK)]
    return People(*(torch.cat(each) for each in zip(*(vars(part).values() for part in parts), strict=True)))


def _in_views(in_room: Tensor, count: int, generator: torch.Generator) -> People:
    chosen = torch.randint(len(in_room), (count,), generator=generator)
    pixels, inside, points = random_views(in_room[chosen], generator)
    pixels, inside = pixels[:, _H36M_OF_COCO], inside[:, _H36M_OF_COCO]
    low = torch.where(inside[..., None], pixels, torch.inf).amin(dim=1)
    high = torch.where(inside[..., None], pixels, -torch.inf).amax(dim=1)
    margin = 0.06 * (high - low).amax(dim=1, keepdim=True)  # a box holds the body, not only its joints
    frame = pixels.new_tensor([640.0, 480.0])
    boxes = torch.cat([(low - margin).clamp(min=0), torch.minimum(high + margin, frame)], dim=1)
    known = inside.any(dim=1) & boxes.isfinite().all(dim=1)
    joints = torch.where(inside[..., None], pixels, 0.0)
    three = (points - points[:, :1]) * 1000.0
    return People(joints[known], inside[known].float(), boxes[known], three[known])
