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
from orpose_models.network.static_excitation import use_static_excitation
from orpose_models.network.static_heads import use_static_heads
from orpose_models.network.static_layers import compute_in_float16, fold_batch_norms
from orpose_models.network.static_letterbox import StaticLetterbox
from orpose_models.network.static_nms import static_nms
from orpose_models.network.static_proposals import CandidateHead, best_of_levels, rows_of
from orpose_models.network.static_roi_align import Atlas, build_atlas, static_pool_rois
from orpose_models.network.student import Student

#: Stands for "not a candidate" among logits; exact in fp16 too.
_NEVER = -60000.0


class Poses(NamedTuple):
    """Outputs of the static graph: B images, P slots, people first. Px are the given image's, edges at 0 and W."""

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


class People(NamedTuple):
    """What the first half knows of B images: the fields of `Poses` without joints."""

    boxes: Tensor
    scores: Tensor
    valid: Tensor
    nms_converged: Tensor


class StaticStudent(nn.Module):
    """`(B, H, W, 3)` uint8 BGR -> `Poses`, every shape fixed.

    Args:
        student: Its weights are copied, in evaluation mode.
        input_size: Width and height of the network's input, px.
        batch: Images per call.
        max_persons: Slots per image; the preset's unless given.
        frame_size: Width and height of camera frames, px, which are letterboxed inside; `Poses` are in their px. None:
            images already have the network's size.
        float16: The heavy layers compute in float16 (static_layers.py); boxes and coordinates stay as they are.

    Raises:
        ValueError: More slots than proposals, or a weight beyond float16's range.
    """

    mean_row: Tensor

    def __init__(
        self,
        student: Student,
        input_size: tuple[int, int],
        batch: int = 1,
        max_persons: int | None = None,
        *,
        frame_size: tuple[int, int] | None = None,
        float16: bool = False,
    ) -> None:
        super().__init__()
        self.student = copy.deepcopy(student).eval().requires_grad_(False)
        self.preset = student.preset
        self.input_size, self.batch = input_size, batch
        self.max_persons = max_persons or self.preset.max_persons
        if not 1 <= self.max_persons <= self.preset.proposals:
            raise ValueError(f"max_persons: expected 1-{self.preset.proposals}, got {self.max_persons}")
        self.letterbox = StaticLetterbox(frame_size, input_size) if frame_size else None
        use_static_heads(self.student.heads)
        fold_batch_norms(self.student)
        use_static_excitation(self.student.pyramid)
        self._read_interleaved_bgr()
        self.candidates = CandidateHead(self.student.rpn.head)
        del self.student.rpn  # its layers are the candidates' now
        if float16:
            compute_in_float16(self.student, self.candidates)
        self.float16 = float16
        self.grids = [
            (-(-input_size[1] // 2**level), -(-input_size[0] // 2**level)) for level in self.preset.fpn_levels
        ]
        for i, grid in enumerate(self.grids):
            self.register_buffer(
                f"anchors{i}", level_anchors(self.preset, i, grid, input_size).float(), persistent=False
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the images that go in, px; results are in these."""
        return self.letterbox.letterbox.frame_size if self.letterbox else self.input_size

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
        found, roi_features = self.find_people(image)
        keypoints, keypoints_3d = self.poses(roi_features, found.boxes.flatten(0, 1))
        present = found.valid.to(keypoints.dtype)[..., None, None]
        keypoints, keypoints_3d = (each.unflatten(0, found.valid.shape) * present for each in (keypoints, keypoints_3d))
        boxes = found.boxes
        if self.letterbox:
            boxes = self.letterbox.boxes_to_frame(boxes) * present[..., 0]
            points = self.letterbox.points_to_frame(keypoints[..., :2]) * present
            keypoints = torch.cat([points, keypoints[..., 2:]], dim=-1)
        return Poses(boxes, found.scores, found.valid, keypoints, keypoints_3d, found.nms_converged)

    def find_people(self, image: Tensor) -> tuple[People, Tensor]:
        """First half: the people, in px of the network's input, and their RoI features `(B * P, C, 14, 14)`."""
        network_input = self.letterbox(image) if self.letterbox else image
        # Cast before anything else: TensorRT takes uint8 as an input, but casts are all it does with it.
        rows = network_input.to(self.mean_row.dtype).flatten(2) - self.mean_row  # B, H, W * 3
        rows = rows.half() if self.float16 else rows
        features = self.student.pyramid(rows.unsqueeze(1))
        atlas = build_atlas(features, self.preset)
        proposals, usable, proposals_converged = self._propose(features)
        boxes, scores, valid, converged = self._detect(atlas, proposals, usable)
        both = (proposals_converged & converged).int()
        roi_features = static_pool_rois(atlas, boxes, KEYPOINT_CELLS, self.preset)
        return People(boxes, scores, valid.int(), both), roi_features

    def poses(self, roi_features: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Second half, of N people: keypoints `(N, 17, 3)` and `(N, 17, 4)` from RoI features and boxes `(N, 4)`."""
        maps = self.student.heads.keypoint(roi_features)
        return self.student.heads.poses(maps, boxes, FRAME_LINES / self.input_size[1], "subcell")

    def _propose(self, features: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Best boxes `(B, N, 4)` after NMS in each level, which of them are real `(B, N)`, converged `(B,)`."""
        tables = [self.candidates(feature) for feature in features]
        anchors = torch.cat([getattr(self, f"anchors{i}") for i in range(len(self.grids))])
        best, real = best_of_levels(tables, self.preset.proposals_per_level)  # B, L, K
        found = rows_of(torch.cat(tables, dim=1), best)  # B, L, K, 5
        scores, deltas = found[..., 0], found[..., 1:]
        boxes = decode_boxes(deltas, F.embedding(best, anchors), PROPOSAL_WEIGHTS)
        boxes = clip_boxes(boxes, self.input_size)
        usable = _has_sides(boxes, MIN_SIDE_PX)
        usable = usable if real is None else usable & real
        keep, converged = static_nms(boxes, usable, PROPOSAL_NMS_IOU)
        scores, boxes = torch.where(keep, scores, _NEVER).flatten(1), boxes.flatten(1, 2)
        scores, boxes = _take_best(scores, boxes, self.preset.proposals)
        return boxes, scores > _NEVER, converged.to(boxes.dtype).amin(dim=1) > 0.5

    def _detect(self, atlas: Atlas, proposals: Tensor, usable: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes `(B, P, 4)`, scores and validity `(B, P)` of the people, converged `(B,)`."""
        batch, count = proposals.shape[:2]
        pooled = static_pool_rois(
            atlas, proposals, BOX_CELLS, self.preset, channels_last=self.preset.sampling_ratio == 1
        )
        logits, deltas = self.student.heads.box(pooled)
        boxes = decode_boxes(deltas.view(batch, count, 4), proposals, BOX_WEIGHTS)
        boxes = clip_boxes(boxes, self.input_size)
        margin = (logits[:, 1] - logits[:, 0]).view(batch, count)
        candidate = usable & _has_sides(boxes, MIN_BOX_SIDE_PX) & (margin > math.log(MIN_SCORE / (1 - MIN_SCORE)))
        margin, boxes = _take_best(torch.where(candidate, margin, _NEVER), boxes, count)
        keep, converged = static_nms(boxes, margin > _NEVER, NMS_IOU)
        margin, boxes = _take_best(torch.where(keep, margin, _NEVER), boxes, self.max_persons)
        valid = margin > _NEVER
        present = valid.to(boxes.dtype)
        return boxes * present[..., None], margin.sigmoid() * present, valid, converged


def _has_sides(boxes: Tensor, shortest: float) -> Tensor:
    """Which of boxes `(..., 4)` are at least `shortest` px wide and high."""
    return (boxes[..., 2:] - boxes[..., :2]).amin(dim=-1) >= shortest


def _take_best(scores: Tensor, boxes: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` best of scores `(B, N)`, descending, with their boxes `(B, N, 4)`."""
    scores, best = scores.topk(count, dim=1)
    return scores, rows_of(boxes, best)
