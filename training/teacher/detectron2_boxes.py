"""A detectron2 detector (the paper's Cascade Mask R-CNN with ResNeXt-152): its people.

Only where detectron2 is installed. Its weights are read here, not by detectron2, which would unpickle them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from orpose_models.checkpoints.files import read_tensors
from orpose_models.checkpoints.pickles import first_line
from orpose_models.errors import BackendError, ModelError
from training.teacher.config import Detectron2Boxes
from training.teacher.stages import Boxes, Image

#: Boxes below are not even merged.
_FLOOR = 0.05
#: Of the network, but not asked for.
_UNUSED = "roi_heads.mask_"


class Detectron2BoxStage:
    """Boxes of the class "person"."""

    def __init__(self, config: Detectron2Boxes, device: torch.device) -> None:
        try:
            from detectron2 import model_zoo
            from detectron2.config import get_cfg
            from detectron2.data import MetadataCatalog
            from detectron2.data.transforms import ResizeShortestEdge
            from detectron2.modeling import build_model
        except ImportError as error:
            raise BackendError(
                f"detectron2: not installed ({error}); install it from its repository (facebookresearch/detectron2),"
                " or choose boxes of kind transformers or network"
            ) from None
        settings = get_cfg()
        try:
            settings.merge_from_file(_config_file(model_zoo, config.model))
        except (RuntimeError, OSError, KeyError, AssertionError) as error:
            raise ModelError(f"{config.model}: not a detectron2 configuration ({first_line(error)})") from None
        settings.MODEL.DEVICE, settings.MODEL.MASK_ON = str(device), False
        settings.MODEL.ROI_HEADS.SCORE_THRESH_TEST = _FLOOR
        self._resize, self._settings = ResizeShortestEdge, settings
        try:
            self._model = build_model(settings)
        except ImportError as error:  # parts of it are compiled, and looked for only now
            raise BackendError(f"detectron2: not wholly installed ({first_line(error)})") from None
        weights = config.weights or _fetched(model_zoo, config.model)
        load_detectron2_weights(self._model, weights)
        self._model.eval()
        self._person = MetadataCatalog.get(settings.DATASETS.TEST[0]).thing_classes.index("person")

    @torch.no_grad()
    def detect(self, images: Sequence[Image], scale: float = 1.0) -> list[Boxes]:
        """One image at a time: at 1200 px one fills a GPU."""
        return [self._detect_one(image, scale) for image in images]

    def _detect_one(self, image: Image, scale: float) -> Boxes:
        test = self._settings.INPUT
        shortest, longest = round(test.MIN_SIZE_TEST * scale), round(test.MAX_SIZE_TEST * max(1.0, scale))
        resize = self._resize([shortest, shortest], longest)
        resized = resize.get_transform(image).apply_image(image if test.FORMAT == "BGR" else image[..., ::-1])
        tensor = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))).float()
        found = self._model([{"image": tensor, "height": image.shape[0], "width": image.shape[1]}])[0]["instances"]
        found = found[found.pred_classes == self._person]
        return Boxes.sorted(found.pred_boxes.tensor.cpu().numpy(), found.scores.cpu().numpy())


def _config_file(model_zoo: Any, name: str) -> str:
    return name if Path(name).is_file() else model_zoo.get_config_file(name)


def _fetched(model_zoo: Any, name: str) -> Path:
    """The model zoo's weights, from detectron2's cache or fetched into it."""
    from detectron2.utils.file_io import PathManager

    try:
        url = model_zoo.get_checkpoint_url(name)
    except RuntimeError:
        raise ModelError(f"{name}: the model zoo has no weights for it; give `boxes.weights`") from None
    try:
        return Path(PathManager.get_local_path(url))
    except Exception as error:  # of urllib, requests, iopath
        raise ModelError(
            f"{name}: its weights cannot be fetched ({first_line(error)}); fetch {url} on a machine with network and"
            " give its path as `boxes.weights`"
        ) from None


def load_detectron2_weights(model: nn.Module, path: Path) -> None:
    """Loads a detectron2 checkpoint (.pth, .pkl); what it lacks may only be constants that are no weights.

    Raises:
        ModelError: It is missing or corrupt, or of another network.
    """
    hint = "give a detectron2 checkpoint of this configuration"
    tensors = read_tensors(path, hint=hint)
    tensors = {name: value for name, value in tensors.items() if not name.startswith(_UNUSED)}
    weights = {name for name, _ in model.named_parameters()}
    try:
        told = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{path}: does not fit the configuration ({first_line(error)}); {hint}") from None
    missing = sorted(weights & set(told.missing_keys))
    wrong = missing or [name for name in told.unexpected_keys if name not in ("pixel_mean", "pixel_std")]
    if wrong:
        what = "lacks" if missing else "has unknown"
        raise ModelError(f"{path}: {what} {len(wrong)} weights ({', '.join(wrong[:3])}); {hint}")
