"""Our own networks as a teacher's stages, so that experiments need no download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from orpose_models.errors import ModelError
from orpose_models.network.backbone import normalise
from orpose_models.network.decode import decode_subcell, place_in_boxes, softmax_peak
from orpose_models.network.heads import KEYPOINT_CELLS
from orpose_models.network.lifter import joint_confidence, lifter_input, with_pelvis
from orpose_models.network.roi_align import pool_rois
from orpose_models.network.roi_heads import RoIHeads
from orpose_models.network.weights import load_student
from orpose_models.runtime.letterbox import Letterbox
from orpose_models.skeleton import COCO17
from training.data.dataset import image_tensor
from training.teacher.config import NetworkBoxes, NetworkKeypoints
from training.teacher.stages import Boxes, Image, View, chunks
from training.teacher.tta import flip_boxes

#: Sides of the input are multiples of this, as the pyramid's are.
_STRIDE = 32


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height px of the input at `scale`, multiples of 32; at scale 1 as they are, as in training."""
    if scale == 1:
        return size
    width, height = (max(_STRIDE, round(side * scale / _STRIDE) * _STRIDE) for side in size)
    return width, height


class _Eye:
    """A network and its way from image px to input px."""

    def __init__(self, weights: Path, size: tuple[int, int], device: torch.device) -> None:
        self.student = load_student(weights).to(device)
        self.size = size
        self.device = device

    def letterbox(self, image: Image, scale: float) -> Letterbox:
        return Letterbox.fit((image.shape[1], image.shape[0]), scaled_size(self.size, scale))

    def tensor(self, image: Image, letterbox: Letterbox) -> Tensor:
        return image_tensor(letterbox.apply(image)).to(self.device).float() / 255


class NetworkBoxStage:
    """The boxes of one of our own networks."""

    def __init__(self, config: NetworkBoxes, device: torch.device) -> None:
        self._eye = _Eye(config.weights, config.size, device)
        self._batch_size = config.batch_size

    @torch.no_grad()
    def detect(self, images: Sequence[Image], scale: float = 1.0) -> list[Boxes]:
        found: list[Boxes] = []
        for part in chunks(images, self._batch_size):
            letterboxes = [self._eye.letterbox(image, scale) for image in part]
            inputs = [self._eye.tensor(*pair) for pair in zip(part, letterboxes, strict=True)]
            for letterbox, result in zip(letterboxes, self._eye.student.detect(inputs), strict=True):
                corners = result["boxes"].cpu().numpy().reshape(-1, 2, 2)
                xyxy = letterbox.points_to_frame(corners).reshape(-1, 4)
                found.append(Boxes(xyxy, result["scores"].cpu().numpy()))
        return found


class NetworkKeypointStage:
    """The joints of one of our own networks. Heatmaps are logits over the boxes, 56x56, the mean of the branches."""

    def __init__(self, config: NetworkKeypoints, device: torch.device) -> None:
        self._eye = _Eye(config.weights, config.size, device)

    @torch.no_grad()
    def heatmaps(self, image: Image, boxes: NDArray[np.float32], view: View) -> Tensor:
        if view.flip:
            mirrored = np.ascontiguousarray(image[:, ::-1])
            maps = self.heatmaps(mirrored, flip_boxes(boxes, image.shape[1]), View(view.scale))
            return maps.flip(-1)[:, list(COCO17.flip)]
        student, letterbox = self._eye.student, self._eye.letterbox(image, view.scale)
        features = student.pyramid(normalise(self._eye.tensor(image, letterbox)[None]))
        corners = letterbox.points_to_input(boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        rois = torch.from_numpy(corners).to(self._eye.device)
        maps = student.heads.keypoint(pool_rois(features, [rois], KEYPOINT_CELLS, student.preset))
        return maps.mean(dim=1)

    def decode(self, heatmaps: Tensor, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        return decode_joints(self._eye.student.heads, heatmaps, boxes)


@torch.no_grad()
def decode_joints(heads: RoIHeads, heatmaps: Tensor, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Joints `(N, 17, 3)` x, y px, score of one network's logits `(N, 17, S, S)` over `boxes (N, 4)` px."""
    shares, peaks = decode_subcell(heatmaps)
    points = place_in_boxes(shares, torch.from_numpy(boxes).to(heatmaps))
    scores = heads.calibration(softmax_peak(heatmaps, peaks))
    return torch.cat([points, scores[..., None]], dim=-1).cpu().numpy()


class NetworkLiftStage:
    """The mean of one of our networks' lifters."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        student = load_student(weights)
        if not student.preset.conventions.has_lifters:
            raise ModelError(
                f"{weights}: its lifters are not trained; give weights with lifters, or a published lifter"
            )
        self.reads_confidence = student.preset.lifter_input == "confidence"
        self._heads = student.heads.to(device)

    def lift(self, joints: NDArray, confidence: NDArray) -> NDArray[np.float32]:
        return lift_joints(self._heads, joints, confidence)


@torch.no_grad()
def lift_joints(heads: RoIHeads, joints: NDArray, confidence: NDArray) -> NDArray[np.float32]:
    """`LiftStage.lift` by the mean of one network's lifters, which must be in evaluation mode."""
    device = heads.lifter_stats.mean2d.device
    points = lifter_input(torch.from_numpy(np.asarray(joints, np.float32)).to(device), 1.0)
    entering = joint_confidence(torch.from_numpy(np.asarray(confidence, np.float32)).to(device))
    points = points * (entering > 0)[..., None]
    lifted = torch.stack([heads.lift(lifter, points, entering) for lifter in heads.lifters]).mean(dim=0)
    return with_pelvis(lifted).cpu().numpy()
