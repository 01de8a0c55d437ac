"""The static network in two parts, so that the second is run for as many people as there are."""

from __future__ import annotations

from torch import Tensor, nn

from orpose_models.network.static_student import StaticStudent


class FindPeople(nn.Module):
    """`(B, H, W, 3)` uint8 BGR -> `People`, RoI features `(B * P, C, 14, 14)`."""

    def __init__(self, static: StaticStudent) -> None:
        super().__init__()
        self.static = static

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        people, roi_features = self.static.find_people(image)
        return (*people, roi_features)


class FindPoses(nn.Module):
    """RoI features `(N, C, 14, 14)` and boxes `(N, 4)` of any N people -> keypoints `(N, 17, 3)` and `(N, 17, 4)`."""

    def __init__(self, static: StaticStudent) -> None:
        super().__init__()
        self.static = static

    def forward(self, roi_features: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        return self.static.poses(roi_features, boxes)
