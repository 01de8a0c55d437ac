"""What of the detectron2 stage needs no detectron2: reading its weights without running anything they bring along."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from orpose_models.errors import ModelError
from training.teacher.detectron2_boxes import load_detectron2_weights


class Detector(nn.Module):
    """Two weights, and constants that checkpoints may lack."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(2, 3)
        self.register_buffer("pixel_mean", torch.ones(3))


def weights() -> dict[str, np.ndarray]:
    mask = {"roi_heads.mask_head.predictor.weight": np.ones(3, np.float32)}
    return {"backbone.weight": np.full((3, 2), 2, np.float32), "backbone.bias": np.zeros(3, np.float32), **mask}


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_model_zoo_file(tmp_path, protocol):
    path = tmp_path / "model_final.pkl"
    path.write_bytes(pickle.dumps({"model": weights(), "__author__": "somebody"}, protocol=protocol))
    model = Detector()
    load_detectron2_weights(model, path)
    assert (model.backbone.weight == 2).all()


def test_a_training_checkpoint(tmp_path):
    path = tmp_path / "model_final.pth"
    torch.save({"model": {k: torch.from_numpy(v) for k, v in weights().items()}, "iteration": 5}, path)
    model = Detector()
    load_detectron2_weights(model, path)
    assert (model.backbone.weight == 2).all()


@pytest.mark.parametrize(("change", "message"), [
    (lambda w: w.pop("backbone.bias"), r"lacks 1 weights \(backbone.bias\)"),
    (lambda w: w.update(more=np.ones(1)), r"has unknown 1 weights \(more\)"),
    (lambda w: w.update({"backbone.bias": np.ones(7)}), "does not fit the configuration"),
])  # fmt: skip
def test_weights_of_another_network(tmp_path, change, message):
    content = weights()
    change(content)
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"model": content}))
    with pytest.raises(ModelError, match=message):
        load_detectron2_weights(Detector(), path)
