"""Plots of a reproduction: box and keypoint AP over scale with the paper's curves, and bars of the ablation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from orpose_models.evaluate.plots import figure
from training.reproduce import paper
from training.reproduce.claims import BOX_AP, KEYPOINT_AP, MPJPE, Metric
from training.reproduce.config import ReproduceConfig
from training.reproduce.networks import Roles, published, roles_of
from training.reproduce.steps import scale_name
from training.reproduce.tables import read_metrics

#: Value and the ends of its interval.
Point = tuple[float, float, float]
#: Drawn without a line: each of its points is another network.
FIXED_CURVE = "orpose_fixed, each at its scale"


def write_plots(config: ReproduceConfig, folder: Path) -> list[Path]:
    """Writes scales*.png and ablation*.png, as far as their networks are run; returns the files."""
    written = []
    for metric, file_name in ((BOX_AP, "scales_box.png"), (KEYPOINT_AP, "scales.png")):
        curves = list(_curves(config, roles_of(config), metric))
        if any(points for _, points, _ in curves):
            written.append(folder / file_name)
            _write_scales(written[-1], curves, metric)
    for metric, file_name in ((KEYPOINT_AP, "ablation.png"), (MPJPE, "ablation_mpjpe.png")):
        bars = [(name, point) for name in config.ablation if (point := _point(config, name, config.scales[0], metric))]
        if bars:
            written.append(folder / file_name)
            _write_bars(written[-1], bars, config, metric)
    return written


Curve = tuple[str, dict[float, Point], paper.Row]


def _curves(config: ReproduceConfig, roles: Roles, metric: Metric) -> Iterator[Curve]:
    """Teacher, student, the fixed ones (each at its own scale) as one curve, and the one of all scales."""
    for name, row in ((roles.teacher, paper.TEACHER), (roles.student, paper.STUDENT), (roles.all, paper.ALL)):
        if name is not None:
            yield name, _points(config, {scale: name for scale in config.scales}, metric), row
    if roles.fixed:
        yield FIXED_CURVE, _points(config, dict(sorted(roles.fixed.items())), metric), paper.FIXED


def _points(config: ReproduceConfig, names: dict[float, str], metric: Metric) -> dict[float, Point]:
    found = {scale: _point(config, name, scale, metric) for scale, name in names.items()}
    return {scale: point for scale, point in found.items() if point is not None}


def _point(config: ReproduceConfig, name: str, scale: float, metric: Metric) -> Point | None:
    metrics = read_metrics(config, name)
    if metrics is None or scale_name(scale) not in metrics[metric.protocol]:
        return None
    interval = next(iter(metrics[metric.protocol][scale_name(scale)]["intervals"].values()))  # the main metric's
    if None in interval.values():
        return None
    value, low, high = (metric.factor * interval[key] for key in ("value", "low", "high"))
    return value, low, high


def _write_scales(path: Path, curves: Sequence[Curve], metric: Metric) -> None:
    """Ours on the left, the paper's on the right: another test, so each has its own axis."""
    with figure(path, (10, 4.5)) as ours:
        theirs = ours.figure.add_subplot(1, 2, 2)
        ours.set_subplotspec(theirs.get_gridspec()[0])
        for number, (name, points, row) in enumerate(curves):
            colour = f"C{number}"
            style = "s" if name == FIXED_CURVE else "o-"
            ours.plot(list(points), [value for value, *_ in points.values()], style, color=colour, label=name)
            for scale, (_, low, high) in points.items():
                ours.vlines(scale, low, high, color=colour, linewidth=2, alpha=0.6)
            published = [getattr(figures, metric.paper) for figures in row.values()]
            theirs.plot(list(row), published, f"{style[0]}--", color=colour, alpha=0.6)
        ours.set_title("here (95 % interval)", fontsize=10)
        theirs.set_title(paper.LABEL, fontsize=10)
        for axes in (ours, theirs):
            axes.set_xticks(sorted({scale for _, points, _ in curves for scale in points}))
            axes.set_xlabel("downsampling")
            axes.set_ylabel(metric.unit)
            axes.set_ylim(bottom=0)
        theirs.grid(alpha=0.3)
        ours.legend(fontsize=8)


def _write_bars(path: Path, bars: Sequence[tuple[str, Point]], config: ReproduceConfig, metric: Metric) -> None:
    roles = roles_of(config)
    unit = "MPJPE (mm)" if metric is MPJPE else metric.unit
    with figure(path, (8, 4.5)) as axes:
        theirs: str | None = paper.LABEL
        for place, (name, (value, low, high)) in enumerate(bars):
            axes.bar(place - 0.2, value, 0.4, color="C0", label="here" if place == 0 else None)
            axes.vlines(place - 0.2, low, high, color="black", linewidth=1.5)
            figures = published(roles, name, ablation=True).get(config.scales[0])
            if figures is not None:
                axes.bar(
                    place + 0.2, getattr(figures, metric.paper), 0.4, color="C0", alpha=0.3, hatch="//", label=theirs
                )
                theirs = None  # once in the legend
        axes.set_xticks(range(len(bars)), [name for name, _ in bars], fontsize=8)
        axes.set_ylabel(f"{unit} at {scale_name(config.scales[0])} (95 % interval)")
        axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
