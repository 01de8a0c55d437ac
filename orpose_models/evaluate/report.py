"""What `orpose evaluate` measures of one or several results files, as one JSON object, text and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orpose_models.annotations import AnnotationSet
from orpose_models.evaluate import plots
from orpose_models.evaluate.bones import bones_of_labels, bones_of_results
from orpose_models.evaluate.coco import Kind
from orpose_models.evaluate.matches import match, precisions
from orpose_models.evaluate.protocols import PROTOCOLS, Table, joints_of, metrics_of, sizes_of, statistic_of
from orpose_models.evaluate.resample import (
    Difference,
    Interval,
    ResampleSettings,
    difference,
    image_groups,
    interval,
)
from orpose_models.evaluate.results import Result
from orpose_models.evaluate.text import text_table

#: The row of labelled poses in tables and plots of bones.
LABELS = "labels"


@dataclass(frozen=True)
class Wanted:
    """What to measure beside the metrics; intervals, where `resampling` says how."""

    joints: bool = False
    sizes: bool = False
    bones: bool = False
    keep_label_ids: bool = False
    resampling: ResampleSettings | None = None


@dataclass(frozen=True)
class Run:
    """One results file, measured."""

    metrics: dict[str, float]
    interval: Interval | None = None
    difference: Difference | None = None
    joints: Table | None = None
    sizes: Table | None = None
    bones: Table | None = None

    def as_dict(self) -> dict[str, Any]:
        """What was measured, for JSON."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def measure(
    protocol: str,
    annotations: AnnotationSet,
    files: Mapping[str, Sequence[Result]],
    wanted: Wanted,
    against: Sequence[Result] | None = None,
) -> dict[str, Run]:
    """Every results file (by name) by one protocol; differences are each file minus `against`, on the same samples."""
    keep = {"keep_label_ids": wanted.keep_label_ids}
    resampling = wanted.resampling
    groups = image_groups(annotations, resampling.resample) if resampling else None
    other = None if against is None else statistic_of(protocol, annotations, against, **keep)
    runs = {}
    for name, results in files.items():
        within = change = None
        metrics = metrics_of(protocol, annotations, results, **keep)
        if groups is not None and resampling is not None:
            own = statistic_of(protocol, annotations, results, **keep)
            within = interval(own, groups, resampling)
            change = None if other is None else difference(own, other, groups, resampling)
        runs[name] = Run(
            metrics,
            within,
            change,
            joints_of(protocol, annotations, results) if wanted.joints else None,
            sizes_of(protocol, annotations, results, **keep) if wanted.sizes else None,
            bones_of_results(annotations, results) if wanted.bones else None,
        )
    return runs


def as_text(protocol: str, runs: Mapping[str, Run], resampling: ResampleSettings, against: str = "") -> str:
    """Tables: metrics, then intervals, differences, joints, sizes and bones where they were measured."""
    main = PROTOCOLS[protocol].main
    parts = [text_table(_beside({name: _as_rows(run.metrics) for name, run in runs.items()}))]
    intervals = {name: _columns(main, run.interval) for name, run in runs.items() if run.interval}
    if intervals:
        parts.append(text_table(intervals, f"{resampling.confidence:.0%} interval"))
    differences = {name: _columns("difference", run.difference) for name, run in runs.items() if run.difference}
    if differences:
        parts.append(f"{main} minus that of {against}, on the same samples")
        parts.append(text_table(differences))
    for title, kind in (("joint", "joints"), ("size", "sizes"), ("bone", "bones")):
        tables = {name: getattr(run, kind) for name, run in runs.items() if getattr(run, kind) is not None}
        if tables:
            parts.append(text_table(_beside(tables), title))
    return "\n\n".join(parts)


def write_plots(
    folder: Path,
    protocol: str,
    annotations: AnnotationSet,
    files: Mapping[str, Sequence[Result]],
    runs: Mapping[str, Run],
    wanted: Wanted,
) -> list[Path]:
    """Everything that can be drawn of these results; returns the files."""
    definition = PROTOCOLS[protocol]
    label = f"{protocol}: {definition.main} ({definition.unit})"
    written = [folder / "results.png"]
    plots.write_values(written[0], {n: run.interval or run.metrics[definition.main] for n, run in runs.items()}, label)
    if protocol != "coco-bbox":
        joints = {n: runs[n].joints or joints_of(protocol, annotations, results) for n, results in files.items()}
        column, unit = ("mpjpe_mm", "error (mm)") if protocol == "mpjpe" else ("pck", "PCK@0.2 (%)")
        written.append(folder / "joints.png")
        plots.write_bars(written[-1], joints, column, unit)
    if all(result.get("keypoints_3d") is not None for results in files.values() for result in results):
        bones = {n: runs[n].bones or bones_of_results(annotations, results) for n, results in files.items()}
        labelled = bones_of_labels(annotations)
        bones |= {} if labelled is None else {LABELS: labelled}
        written.append(folder / "bones.png")
        plots.write_bars(written[-1], bones, "mean_mm", "bone length: mean and standard deviation (mm)", "sd_mm")
    if protocol in ("coco-bbox", "coco-keypoints"):
        kind: Kind = "bbox" if protocol == "coco-bbox" else "keypoints"
        keep = wanted.keep_label_ids
        curves = {n: precisions(match(annotations, r, kind, keep_label_ids=keep)) for n, r in files.items()}
        written.append(folder / "precision_recall.png")
        plots.write_precision_recall(written[-1], curves, "IoU" if kind == "bbox" else "OKS")
    return written


def _as_rows(metrics: Mapping[str, float]) -> Table:
    return {name: {"": value} for name, value in metrics.items()}


def _columns(name: str, found: Interval | None) -> dict[str, float]:
    values = {} if found is None else asdict(found)
    return {name: values.pop("value"), **values} if values else {}


def _beside(tables: Mapping[str, Table]) -> Table:
    """Several tables of the same rows as one, each column under its result's name where there are several."""
    rows: Table = {}
    for name, table in tables.items():
        for row, values in table.items():
            for column, value in values.items():
                rows.setdefault(row, {})[f"{name} {column}".strip() if len(tables) > 1 else column] = value
    return rows
