"""The papers' tables (Srivastav et al. 2020, Tables 1 to 3) from the metrics that a reproduction has written."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orpose_models.errors import InputError
from training.reproduce.config import ReproduceConfig
from training.reproduce.steps import metrics_path, scale_name

#: Protocol, metric, factor and decimals of the three figures of a cell: box AP / keypoint AP / MPJPE mm.
_FIGURES = (("coco-bbox", "AP", 100, 1), ("coco-keypoints", "AP", 100, 1), ("mpjpe", "mpjpe_mm", 1, 0))


def markdown(config: ReproduceConfig) -> str:
    """All three tables; a cell is `box AP / keypoint AP / MPJPE`, with the keypoint AP's interval below it."""
    scales = config.scales
    tables = [
        _table("Before distillation: teacher and student, trained on everyday rooms alone (Table 1)", config,
               [config.teacher, config.undistilled], scales),
        _table("Distilled on unlabelled operating rooms (Table 2)", config,
               [name for name in config.distilled if name not in config.ablation], scales),
    ]  # fmt: skip
    if config.ablation:
        tables.append(_table("Branches and labels (Table 3)", config, config.ablation, scales[:1]))
    return "\n\n".join(tables) + "\n"


def _table(title: str, config: ReproduceConfig, names: Sequence[str], scales: Sequence[float]) -> str:
    lines = [
        f"### {title}",
        "",
        "Box AP / keypoint AP (95 % interval) / MPJPE in mm.",
        "",
        "| network | " + " | ".join(scale_name(scale) for scale in scales) + " |",
        "|---" * (len(scales) + 1) + "|",
    ]
    for name in names:
        metrics = {protocol: _runs(config, name, protocol) for protocol, *_ in _FIGURES}
        lines.append(f"| {name} | " + " | ".join(_cell(metrics, scale_name(scale)) for scale in scales) + " |")
    return "\n".join(lines)


def _runs(config: ReproduceConfig, name: str, protocol: str) -> dict[str, dict]:
    path = metrics_path(config, name, protocol)
    try:
        return json.loads(path.read_bytes())["runs"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: no metrics of `orpose evaluate` ({error}); delete it and run again") from None


def _cell(metrics: dict[str, dict[str, dict]], scale: str) -> str:
    figures = []
    for protocol, metric, factor, decimals in _FIGURES:
        run = metrics[protocol][scale]
        value = run["metrics"][metric]
        text = "-" if value is None else f"{factor * value:.{decimals}f}"
        if protocol == "coco-keypoints" and value is not None:
            interval = run["intervals"][metric]
            text += f" ({factor * interval['low']:.{decimals}f} to {factor * interval['high']:.{decimals}f})"
        figures.append(text)
    return " / ".join(figures)
