from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from orpose_models.errors import ConfigError
from orpose_models.network import PRESETS, build_student, get_preset
from orpose_models.network.static_student import StaticStudent


def test_r50_has_the_papers_parameters() -> None:
    parameters = sum(p.numel() for p in build_student("r50").parameters())
    assert parameters == pytest.approx(67.9e6, rel=0.01)


def test_lite_fits_in_15_megabytes_of_float16() -> None:
    parameters = sum(p.numel() for p in build_student("lite").parameters())
    assert parameters * 2 < 14e6


def count_gflops(preset: str, persons: int) -> float:
    """2 x multiply-adds of the static graph at 640x480; no arithmetic is done."""
    with torch.device("meta"):
        static = StaticStudent(build_student(preset), (640, 480), max_persons=persons)
        counter = FlopCounterMode(display=False)
        with counter:
            static(torch.zeros(1, 480, 640, 3, dtype=torch.uint8))
    return counter.get_total_flops() / 1e9


def test_r50_flops_are_the_papers_at_fourteen_people() -> None:
    """The paper counts 215.0 GFLOPs. Ours: a detector part and a part per person; 14 people make the paper's figure."""
    per_person = count_gflops("r50", 15) - count_gflops("r50", 14)
    assert per_person == pytest.approx(7.05, rel=0.01)
    assert count_gflops("r50", 14) == pytest.approx(215.0, rel=0.03)


def test_lite_costs_a_fortieth_of_r50() -> None:
    assert count_gflops("lite", 8) < 231 / 40


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"preset: got 'r101', expected one of r50, lite"):
        get_preset("r101")


def test_a_single_branch_is_the_same_network_with_one_heatmap_layer_and_one_lifter_less() -> None:
    for name in ("r50", "lite"):
        both, single = build_student(name), build_student(f"{name}_single")
        missing = {key.split(".")[1] for key in both.state_dict().keys() - single.state_dict().keys()}
        assert missing == {"keypoint", "lifter_soft"}
        assert not single.state_dict().keys() - both.state_dict().keys()


@pytest.mark.parametrize("name", PRESETS)
def test_no_batch_norm_is_frozen(name: str) -> None:
    student = build_student(name)
    frozen = [k for k, m in student.named_modules() if "FrozenBatchNorm" in type(m).__name__]
    assert not frozen
    assert all(p.requires_grad for p in student.parameters())


def test_one_anchor_size_per_level() -> None:
    with pytest.raises(ValueError, match="expected one per level"):
        type(get_preset("lite")).model_validate({**get_preset("lite").model_dump(), "anchor_sizes": (32, 64)})
