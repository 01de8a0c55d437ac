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
    Drawn,
    Interval,
    ResampleSettings,
    differences,
    draw,
    image_groups,
    intervals,
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
    """One results file, measured: metrics, some of them with intervals and differences, and tables."""

    metrics: dict[str, float]
    intervals: dict[str, Interval] | None = None
    differences: dict[str, Difference] | None = None
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
    names, settings = PROTOCOLS[protocol].resampled, wanted.resampling
    other = None if against is None else _drawn(protocol, annotations, against, wanted)
    runs = {}
    for name, results in files.items():
        own = _drawn(protocol, annotations, results, wanted)
        within = change = None
        if settings is not None and own is not None:
            within = dict(zip(names, intervals(own, settings.confidence), strict=True))
            if other is not None:
                change = dict(zip(names, differences(own, other, settings.confidence), strict=True))
        runs[name] = Run(
            metrics_of(protocol, annotations, results, keep_label_ids=wanted.keep_label_ids),
            within,
            change,
            joints_of(protocol, annotations, results) if wanted.joints else None,
            sizes_of(protocol, annotations, results, keep_label_ids=wanted.keep_label_ids) if wanted.sizes else None,
            bones_of_results(annotations, results) if wanted.bones else None,
        )
    return runs


def _drawn(protocol: str, annotations: AnnotationSet, results: Sequence[Result], wanted: Wanted) -> Drawn | None:
    """The samples' metrics; the same images are in them for every results file."""
    if wanted.resampling is None:
        return None
    groups = image_groups(annotations, wanted.resampling.resample)
    statistic = statistic_of(protocol, annotations, results, keep_label_ids=wanted.keep_label_ids)
    return draw(statistic, groups, wanted.resampling)


def as_text(runs: Mapping[str, Run], resampling: ResampleSettings, against: str = "") -> str:
    """Tables: metrics, then intervals, differences, joints, sizes and bones where they were measured."""
    parts = [text_table(_beside({name: {m: {"": v} for m, v in run.metrics.items()} for name, run in runs.items()}))]
    within = {name: _rows(run.intervals) for name, run in runs.items() if run.intervals}
    if within:
        parts.append(text_table(_below(within), f"{resampling.confidence:.0%} interval"))
    changes = {name: _rows(run.differences) for name, run in runs.items() if run.differences}
    if changes:
        parts.append(f"minus {against}, on the same samples; at_most_zero: share of the samples")
        parts.append(text_table(_below(changes), "difference"))
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
    main = definition.main
    plots.write_values(written[0], {n: (r.intervals or r.metrics)[main] for n, r in runs.items()}, label)
    if protocol not in ("coco-bbox", "identity", "places"):
        joints = {n: runs[n].joints or joints_of(protocol, annotations, results) for n, results in files.items()}
        column, unit = _joint_column(protocol, next(iter(joints.values())))
        written.append(folder / "joints.png")
        plots.write_bars(written[-1], joints, column, unit)
    if all(result.get("keypoints_3d") is not None for results in files.values() for result in results):
        bones = {n: runs[n].bones or bones_of_results(annotations, results) for n, results in files.items()}
        labelled = bones_of_labels(annotations)
        bones |= {} if labelled is None else {LABELS: labelled}
        written.append(folder / "bones.png")
        plots.write_bars(written[-1], bones, "mean_mm", "bone length, mean ± sd (mm)", "sd_mm")
    if protocol in ("coco-bbox", "coco-keypoints"):
        kind: Kind = "bbox" if protocol == "coco-bbox" else "keypoints"
        keep = wanted.keep_label_ids
        curves = {n: precisions(match(annotations, r, kind, keep_label_ids=keep)) for n, r in files.items()}
        written.append(folder / "precision_recall.png")
        plots.write_precision_recall(written[-1], curves, "IoU" if kind == "bbox" else "OKS")
    return written


def _joint_column(protocol: str, table: Table) -> tuple[str, str]:
    """Which column of the table of joints is drawn, and its name and unit."""
    if protocol == "mpjpe":
        return "mpjpe_mm", "error (mm)"
    if protocol == "multiview":
        return list(next(iter(table.values())))[-1], "error in the room, most views (mm)"
    return "pck", "PCK@0.2 (%)"


def _rows(found: Mapping[str, Interval] | None) -> Table:
    return {metric: asdict(one) for metric, one in (found or {}).items()}


def _below(tables: Mapping[str, Table]) -> Table:
    """Several tables of the same columns as one, each row with its result's name where there are several."""
    return {
        f"{name} {row}" if len(tables) > 1 else row: values
        for name, table in tables.items()
        for row, values in table.items()
    }


def _beside(tables: Mapping[str, Table]) -> Table:
    """Several tables of the same rows as one, each column under its result's name where there are several."""
    rows: Table = {}
    for name, table in tables.items():
        for row, values in table.items():
            for column, value in values.items():
                rows.setdefault(row, {})[f"{name} {column}".strip() if len(tables) > 1 else column] = value
    return rows
