"""A detector of the transformers library (RT-DETR, D-FINE, ...): its people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from orpose_models.errors import ModelError
from training.teacher.config import TransformersBoxes
from training.teacher.hub import from_pretrained, transformers_library
from training.teacher.stages import Boxes, Image, chunks

#: Sides of the input are multiples of this.
_STRIDE = 32
#: Boxes below are not even merged.
_FLOOR = 0.05


class TransformersBoxStage:
    """Boxes of the class "person", whatever its number is in the model at hand."""

    def __init__(self, config: TransformersBoxes, device: torch.device) -> None:
        library = transformers_library()
        self._model = from_pretrained(library.AutoModelForObjectDetection, config.model, output_loading_info=True)
        self._model.eval().to(device)
        self._processor = from_pretrained(library.AutoImageProcessor, config.model)
        self._person = person_label(self._model.config.id2label, config.model)
        self._batch_size, self._device = config.batch_size, device

    @torch.no_grad()
    def detect(self, images: Sequence[Image], scale: float = 1.0) -> list[Boxes]:
        found: list[Boxes] = []
        for part in chunks(images, self._batch_size):
            rgb = [image[..., ::-1].copy() for image in part]
            size = scaled_size(self._processor.size, scale)
            inputs = self._processor(images=rgb, size=size, return_tensors="pt").to(self._device)
            shapes = [image.shape[:2] for image in part]
            results = self._processor.post_process_object_detection(
                self._model(**inputs), threshold=_FLOOR, target_sizes=shapes
            )
            found += [self._people(result) for result in results]
        return found

    def _people(self, result: Mapping[str, torch.Tensor]) -> Boxes:
        person = result["labels"] == self._person
        return Boxes.sorted(result["boxes"][person].cpu().numpy(), result["scores"][person].cpu().numpy())


def person_label(id2label: Mapping[Any, str], model: str) -> int:
    """The number of the class "person".

    Raises:
        ModelError: There is none.
    """
    for number, name in id2label.items():
        if name.lower() == "person":
            return int(number)
    some = ", ".join(list(id2label.values())[:5])
    raise ModelError(f"{model}: has no class 'person' among {len(id2label)} ({some}, ...); choose a COCO detector")


def scaled_size(size: Any, scale: float) -> dict[str, int]:
    """The processor's size at `scale`: whole height and width are multiples of 32, a shortest edge is not."""
    named = {name: value for name, value in dict(size).items() if value}
    if scale == 1:
        return named
    step = _STRIDE if "height" in named else 1
    return {name: max(step, round(value * scale / step) * step) for name, value in named.items()}
