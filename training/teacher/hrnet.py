"""HRNet-W48 for keypoints: timm's backbone, the simple baseline's final layer, the published weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orpose_models.checkpoints.files import load_strictly, read_tensors
from orpose_models.errors import BackendError
from training.teacher.config import HrnetKeypoints
from training.teacher.crops import CropStyle
from training.teacher.top_down import TopDownStage

_HINT = (
    "fetch pose_hrnet_w48_384x288.pth (or 256x192) from the model zoo of the HRNet repository"
    " (leoxiaobin/deep-high-resolution-net.pytorch) and name it in `keypoints.weights`"
)
_EXPECTED = "HRNet-W48 for 17 COCO joints, with the key names of the HRNet repository or of mmpose"
#: timm's name of the backbone.
_TRUNK = "hrnet_w48"
#: mmpose's prefix -> ours.
_MMPOSE = {"backbone.": "", "keypoint_head.final_layer.": "final_layer.", "head.final_layer.": "final_layer."}


class Hrnet(nn.Module):
    """`(N, 3, H, W)` -> heatmaps `(N, 17, H/4, W/4)`."""

    def __init__(self) -> None:
        super().__init__()
        try:
            import timm
        except ImportError:
            raise BackendError("timm: not installed, needed for HRNet; run: pip install 'orpose[teacher]'") from None
        trunk: Any = timm.create_model(_TRUNK, pretrained=False, head="")
        trunk.stage4[-1].fuse_layers = trunk.stage4[-1].fuse_layers[:1]  # only the finest is used, and published
        self.trunk = trunk
        self.final_layer = nn.Conv2d(trunk.stage4_cfg["num_channels"][0], 17, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.final_layer(self.trunk.forward_features(images)[0])


def own_name(published: str) -> str:
    """Our name of a tensor, from the HRNet repository's or mmpose's."""
    for prefix, ours in _MMPOSE.items():
        if published.startswith(prefix):
            published = ours + published.removeprefix(prefix)
            break
    return published if published.startswith("final_layer.") else f"trunk.{published}"


def load_hrnet(path: Path) -> Hrnet:
    """The network with published weights, in evaluation mode.

    Raises:
        ModelError: The file is missing, corrupt, or holds another network.
        BackendError: timm is not installed.
    """
    network = Hrnet()
    tensors = {own_name(name): value for name, value in read_tensors(path, hint=_HINT).items()}
    load_strictly(network, tensors, path, expected=_EXPECTED)
    return network.eval()


class HrnetStage(TopDownStage):
    """Published HRNet-W48, with the crops and peaks of its own code."""

    def __init__(self, config: HrnetKeypoints, device: torch.device) -> None:
        height, width = (int(side) for side in config.size.split("x"))
        super().__init__(
            load_hrnet(config.weights).to(device),
            CropStyle((width, height), unbiased=False),
            refine=config.refine,
            flip_shift=config.flip_shift,
            batch_size=config.batch_size,
            device=device,
        )
