"""The static-shape way through the student: what is exported. Same modules and weights as the dynamic way."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orpose_models.network.anchors import level_anchors
from orpose_models.network.backbone import IMAGE_MEAN, IMAGE_STD
from orpose_models.network.boxes import BOX_WEIGHTS, PROPOSAL_WEIGHTS, clip_boxes, decode_boxes
from orpose_models.network.heads import BOX_CELLS, KEYPOINT_CELLS
from orpose_models.network.lifter import FRAME_LINES
from orpose_models.network.roi_heads import MIN_BOX_SIDE_PX, MIN_SCORE, NMS_IOU
from orpose_models.network.rpn import MIN_SIDE_PX
from orpose_models.network.rpn import NMS_IOU as PROPOSAL_NMS_IOU
from orpose_models.network.static_nms import static_nms
from orpose_models.network.static_roi_align import Atlas, build_atlas, static_pool_rois
from orpose_models.network.student import Student

#: Stands for "not a candidate" among logits; exact in fp16 too.
_NEVER = -60000.0


class Poses(NamedTuple):
    """Outputs of the static graph: B images, P slots, people first. Px are the network input's, edges at 0 and W."""

    boxes: Tensor
    """`(B, P, 4)` x1 y1 x2 y2, px; 0 where invalid."""
    scores: Tensor
    """`(B, P)` 0-1, descending, 0 where invalid."""
    valid: Tensor
    """`(B, P)` int32."""
    keypoints: Tensor
    """`(B, P, 17, 3)` COCO-17: x, y px, score."""
    keypoints_3d: Tensor
    """`(B, P, 17, 4)` Human3.6M-17: x, y, z mm, pelvis-relative, camera axes, score."""
    nms_converged: Tensor
    """`(B,)` int32: both suppressions reached the greedy set."""


class StaticStudent(nn.Module):
    """`(B, H, W, 3)` uint8 BGR -> `Poses`, every shape fixed.

    Args:
        student: Its weights are copied, in evaluation mode.
        input_size: Width and height of the network's input, px.
        batch: Images per call.
        max_persons: Slots per image; the preset's unless given.
    """

    mean_row: Tensor

    def __init__(
        self, student: Student, input_size: tuple[int, int], batch: int = 1, max_persons: int | None = None
    ) -> None:
        super().__init__()
        self.student = copy.deepcopy(student).eval().requires_grad_(False)
        self.preset = student.preset
        self.input_size, self.batch = input_size, batch
        self.max_persons = max_persons or self.preset.max_persons
        if not 1 <= self.max_persons <= self.preset.proposals:
            raise ValueError(f"max_persons: expected 1-{self.preset.proposals}, got {self.max_persons}")
        _pool_by_windows(self.student)
        self._read_interleaved_bgr()
        self.grids = [
            (-(-input_size[1] // 2**level), -(-input_size[0] // 2**level)) for level in self.preset.fpn_levels
        ]
        for i, grid in enumerate(self.grids):
            self.register_buffer(
                f"anchors{i}", level_anchors(self.preset, i, grid, input_size).float(), persistent=False
            )

    def _read_interleaved_bgr(self) -> None:
        """Makes the first convolution read rows of interleaved BGR values, as the camera delivers them.

        A 3x3 kernel of stride 2 over three channels is a 3x9 kernel of stride (2, 6) over one: no transposition of the
        image. The division by the deviation goes into the weights; the mean stays outside, because the zeros that the
        convolution pads with come after its subtraction.
        """
        first = next(m for m in self.student.pyramid.modules() if isinstance(m, nn.Conv2d))
        std = torch.tensor(IMAGE_STD, dtype=first.weight.dtype).view(1, 3, 1, 1)
        bgr = (first.weight / (std * 255)).flip(1)
        first.weight = nn.Parameter(bgr.permute(0, 2, 3, 1).flatten(2).unsqueeze(1).contiguous(), requires_grad=False)
        (height, width), stride = first.kernel_size, first.stride
        first.in_channels, first.kernel_size = 1, (height, width * 3)
        first.stride, first.padding = (stride[0], stride[1] * 3), (height // 2, width // 2 * 3)
        mean_row = torch.tensor(IMAGE_MEAN[::-1], dtype=first.weight.dtype).repeat(self.input_size[0]) * 255
        self.register_buffer("mean_row", mean_row, persistent=False)

    def forward(self, image: Tensor) -> Poses:
        rows = image.flatten(2).to(self.mean_row.dtype) - self.mean_row  # B, H, W * 3
        features = self.student.pyramid(rows.unsqueeze(1))
        atlas = build_atlas(features, self.preset)
        proposals, usable, proposals_converged = self._propose(features)
        boxes, scores, valid, converged = self._detect(atlas, proposals, usable)
        keypoints, keypoints_3d = self._poses(atlas, boxes, valid)
        both = (proposals_converged & converged).int()
        return Poses(boxes, scores, valid.int(), keypoints, keypoints_3d, both)

    def _propose(self, features: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Best boxes `(B, N, 4)` after NMS in each level, which of them are real `(B, N)`, converged `(B,)`."""
        logits, deltas = self.student.rpn.head(features)
        levels = [self._level_candidates(i, logits[i], deltas[i]) for i in range(len(features))]
        scores, best_deltas, anchors = (torch.stack(each, dim=1) for each in zip(*levels, strict=True))  # B, L, K
        boxes = clip_boxes(decode_boxes(best_deltas, anchors, PROPOSAL_WEIGHTS), self.input_size)
        usable = ((boxes[..., 2:] - boxes[..., :2]) >= MIN_SIDE_PX).all(dim=-1) & (scores > _NEVER)
        keep, converged = static_nms(boxes, usable, PROPOSAL_NMS_IOU)
        scores, boxes = torch.where(keep, scores, _NEVER).flatten(1), boxes.flatten(1, 2)
        scores, boxes = _take_best(scores, boxes, self.preset.proposals)
        return boxes, scores > _NEVER, converged.all(dim=1)

    def _level_candidates(self, index: int, logits: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores `(B, K)`, deltas and anchors `(B, K, 4)` of a level's best, padded to K with ones that never win."""
        anchors = getattr(self, f"anchors{index}")
        wanted = self.preset.proposals_per_level
        batch = logits.shape[0]
        scores, best = logits.permute(0, 2, 3, 1).flatten(1).topk(min(wanted, len(anchors)), dim=1)
        cell_deltas = deltas.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).reshape(-1, 4)
        image_start = torch.arange(batch, device=best.device)[:, None] * len(anchors)
        best_deltas, best_anchors = F.embedding(best + image_start, cell_deltas), F.embedding(best, anchors)
        missing = wanted - len(anchors)
        if missing > 0:
            scores = F.pad(scores, (0, missing), value=_NEVER)
            best_deltas, best_anchors = (F.pad(each, (0, 0, 0, missing)) for each in (best_deltas, best_anchors))
        return scores, best_deltas, best_anchors

    def _detect(self, atlas: Atlas, proposals: Tensor, usable: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes `(B, P, 4)`, scores and validity `(B, P)` of the people, converged `(B,)`."""
        batch, count = proposals.shape[:2]
        logits, deltas = self.student.heads.box(static_pool_rois(atlas, proposals, BOX_CELLS, self.preset))
        boxes = decode_boxes(deltas.view(batch, count, 4), proposals, BOX_WEIGHTS)
        boxes = clip_boxes(boxes, self.input_size)
        margin = (logits[:, 1] - logits[:, 0]).view(batch, count)
        large = ((boxes[..., 2:] - boxes[..., :2]) >= MIN_BOX_SIDE_PX).all(dim=-1)
        candidate = usable & large & (margin > math.log(MIN_SCORE / (1 - MIN_SCORE)))
        margin, boxes = _take_best(torch.where(candidate, margin, _NEVER), boxes, count)
        keep, converged = static_nms(boxes, margin > _NEVER, NMS_IOU)
        margin, boxes = _take_best(torch.where(keep, margin, _NEVER), boxes, self.max_persons)
        valid = margin > _NEVER
        present = valid.to(boxes.dtype)
        return boxes * present[..., None], margin.sigmoid() * present, valid, converged

    def _poses(self, atlas: Atlas, boxes: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        batch, count = boxes.shape[:2]
        maps = self.student.heads.keypoint(static_pool_rois(atlas, boxes, KEYPOINT_CELLS, self.preset))
        frame_scale = FRAME_LINES / self.input_size[1]
        keypoints, keypoints_3d = self.student.heads.poses(maps, boxes.flatten(0, 1), frame_scale, "subcell")
        keypoints = keypoints.view(batch, count, 17, 3)
        keypoints_3d = keypoints_3d.view(batch, count, 17, 4)
        present = valid.to(boxes.dtype)[..., None, None]
        return keypoints * present, keypoints_3d * present


class _WindowAverage(nn.Module):
    """Global average pooling as a window of the map's size, which ONNX Runtime keeps in its blocked layout."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, (x.shape[-2], x.shape[-1]))


def _pool_by_windows(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d):
            setattr(module, name, _WindowAverage())
        else:
            _pool_by_windows(child)


def _take_best(scores: Tensor, boxes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` best of scores `(B, N)`, descending, with their boxes `(B, N, 4)`."""
    batch, total = scores.shape
    scores, best = scores.topk(count, dim=1)
    rows = best + torch.arange(batch, device=best.device)[:, None] * total
    return scores, F.embedding(rows, boxes.reshape(-1, 4))
