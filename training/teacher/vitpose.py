"""ViTPose of the transformers library, with crops and peaks as its own processor makes them."""

from __future__ import annotations

import torch
from torch import Tensor

from orpose_models.errors import ModelError
from training.teacher.config import VitPoseKeypoints
from training.teacher.crops import CropStyle
from training.teacher.hub import from_pretrained, transformers_library
from training.teacher.top_down import TopDownStage

#: ViTPose+ has an expert for each of its training sets; this one is COCO's.
_COCO_EXPERT = 0


class VitPoseStage(TopDownStage):
    """ViTPose: unbiased crops, DARK, nothing shifted."""

    def __init__(self, config: VitPoseKeypoints, device: torch.device) -> None:
        library = transformers_library()
        model = from_pretrained(library.VitPoseForPoseEstimation, config.model, output_loading_info=True)
        model.eval().to(device)
        if (joints := model.config.num_labels) != 17:
            raise ModelError(f"{config.model}: finds {joints} joints, expected COCO's 17; choose a COCO model")
        backbone = model.config.backbone_config
        has_experts = getattr(backbone, "num_experts", 1) > 1

        def network(images: Tensor) -> Tensor:
            experts = {"dataset_index": torch.full((len(images),), _COCO_EXPERT, device=device)} if has_experts else {}
            return model(images, **experts).heatmaps

        height, width = backbone.image_size
        super().__init__(
            network,
            CropStyle((width, height), unbiased=True),
            refine="dark",
            flip_shift=False,
            dark_kernel=config.dark_kernel,
            batch_size=config.batch_size,
            device=device,
        )
