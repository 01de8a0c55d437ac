"""Equal to detectron2's keypoint R-CNN and to ORPose's network, whose answers to seeded weights were recorded.

Neither is on a package index. Each file holds the names and shapes of the original's tensors and, of every step of
the original, every so many numbers. It ran in float64, its casts of boxes to float32 removed (docs/convert.md).
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from orpose_models.checkpoints.config import ConvertConfig
from orpose_models.checkpoints.importer import Imported, import_checkpoint
from orpose_models.errors import ModelError
from orpose_models.network.presets import get_preset
from orpose_models.network.static_student import StaticStudent

HERE = Path(__file__).parent
#: Fewer than published, for speed, and alike in both.
COUNTS = {"proposals_per_level": 300, "proposals": 100, "max_persons": 3}
#: Numbers kept of a step, about.
KEPT = 500


def thinned(value: Tensor) -> Tensor:
    """Every so many numbers, an odd distance apart."""
    return value.flatten()[:: value.numel() // KEPT | 1].double()


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the published layout, with numbers of our own."""
    two, three = np.random.RandomState(1), np.random.RandomState(2)
    joints_2d, joints_3d = [*range(9), *range(10, 17)], range(1, 17)
    content = {
        "data_mean_2d": two.uniform(40, 120, 64).tolist(),
        "data_std_2d": two.uniform(20, 60, 64).tolist(),
        "dim_to_use_2d": [2 * joint + axis for joint in joints_2d for axis in range(2)],
        "data_mean_3d": three.uniform(-200, 200, 96).tolist(),
        "data_std_3d": three.uniform(50, 150, 96).tolist(),
        "dim_to_use_3d": [3 * joint + axis for joint in joints_3d for axis in range(3)],
    }
    path = tmp_path_factory.mktemp("statistics") / "h36stats.json"
    path.write_text(json.dumps(content))
    return path


def shapes_of(family: str) -> dict[str, tuple[int, ...]]:
    with np.load(HERE / f"{family}.npz") as recorded:
        return {name: tuple(shape) for name, shape in json.loads(str(recorded["shapes"])).items()}


@pytest.fixture(scope="module", params=["detectron2", "orpose"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def imported(
    family: str, statistics: Path, seeded_tensors: Callable[..., dict[str, Tensor]], tmp_path_factory
) -> Imported:
    tensors = seeded_tensors(shapes_of(family), pixel_std=58.0)
    folder = tmp_path_factory.mktemp(family)
    if family == "detectron2":
        path = folder / "model_final.pkl"
        content = {"model": {name: value.numpy() for name, value in tensors.items()}, "__author__": "nobody"}
        path.write_bytes(pickle.dumps(content))
        config, preset = ConvertConfig(), "r50_single"
    else:
        path = folder / "orpose.pth"
        torch.save({"model": tensors, "iteration": 19999}, path)
        config, preset = ConvertConfig(h36stats=statistics), "r50"
    return import_checkpoint(path, config, get_preset(preset).model_copy(update=COUNTS))


def test_equals_the_original_in_every_layer(
    family: str, imported: Imported, image: np.ndarray, trace: Callable[..., dict[str, Tensor]]
) -> None:
    got = trace(imported.student, image)
    with np.load(HERE / f"{family}.npz") as recorded:
        expected = {name: torch.from_numpy(recorded[name]).double() for name in recorded.files if name != "shapes"}
    assert set(got) - set(expected) == ({"joints_3d"} if family == "detectron2" else set())
    for name, value in expected.items():
        # recorded as float32, in which the original also counts the cells of the resized heatmaps
        difference = (thinned(got[name]) - value).abs().max() / value.abs().max()
        assert difference < 1e-6, f"{name}: {difference:.2g} of the largest"


def test_what_the_card_is_told(family: str, imported: Imported) -> None:
    facts = imported.facts
    assert facts["source"]["family"] == family
    assert facts["conventions"] == {
        "stride_in_1x1": True,
        "aligned_rois": True,
        "adaptive_sampling": True,
        "rounded_anchors": False,
        "divided_strides": False,
        "has_lifters": family == "orpose",
    }
    assert facts["folded_into_the_weights"]["channels"] == "BGR"
    assert facts["folded_into_the_weights"]["background_class"] == "last"
    assert ("non-commercial" in facts["licence"]) is (family == "orpose")


@torch.no_grad()
def test_the_static_graph_differs_by_its_sampling_alone(family: str, imported: Imported, image: np.ndarray) -> None:
    """With the static graph's two samples a bin in the dynamic way as well, they agree as for our own networks."""
    student = imported.student
    adaptive = student.preset
    fixed = adaptive.with_conventions(adaptive.conventions.model_copy(update={"adaptive_sampling": False}))
    static = StaticStudent(student, (image.shape[1], image.shape[0]))(torch.from_numpy(image)[None])
    student.preset = student.heads.preset = fixed
    dynamic = student([torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1).double() / 255])[0]
    student.preset = student.heads.preset = adaptive
    assert int(static.valid.sum()) == len(dynamic["boxes"]) > 0
    for name, value in dynamic.items():
        # its anchors, which are not whole px here, are float32
        torch.testing.assert_close(getattr(static, name)[0, : len(value)], value, rtol=0, atol=1e-3, msg=name)


# --- variants of detectron2's files; a tensor of one repeated number takes no room in a file ------------------------


@pytest.fixture
def ones() -> dict[str, Tensor]:
    return {name: torch.ones(1).expand(shape) for name, shape in shapes_of("detectron2").items()}


def imported_from(tensors: dict[str, Tensor], path: Path, **options: str) -> Imported:
    torch.save(tensors, path)
    return import_checkpoint(path, ConvertConfig.model_validate(options))


def test_the_oldest_files_have_no_statistics(ones: dict[str, Tensor], tmp_path: Path) -> None:
    kept = {name: value for name, value in ones.items() if not name.endswith(("running_mean", "running_var"))}
    trunk = imported_from(kept, tmp_path / "a.pth").student.pyramid.trunk
    norms = [module for module in trunk.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 53
    assert all((norm.running_mean == 0).all() and (norm.running_var == 1).all() for norm in norms)


def test_from_the_other_resnet(ones: dict[str, Tensor], tmp_path: Path) -> None:
    """RGB and ImageNet's deviation, as we have it: the first convolution stays what it is."""
    first = "backbone.bottom_up.stem.conv1.weight"
    ones[first] = torch.rand(64, 3, 7, 7)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    constants = {"pixel_std": std, "proposal_generator.anchor_generator.cell_anchors.0": torch.ones(3, 4)}
    student = imported_from({**ones, **constants}, tmp_path / "a.pth", resnet="torchvision").student
    assert not student.preset.conventions.stride_in_1x1
    assert torch.equal(student.pyramid.trunk.stages[0][0].weight, ones[first].double())
    with pytest.raises(
        ModelError, match=r"pixel_std is \[58.395, 57.12, 57.375\], expected \[1.0, 1.0, 1.0\]; see --resnet"
    ):
        imported_from({**ones, **constants}, tmp_path / "a.pth")
