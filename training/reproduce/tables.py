"""The papers' tables and claims (Srivastav et al. 2020, Tables 1 to 3) from what a reproduction has measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orpose_models.errors import InputError
from training.reproduce import paper
from training.reproduce.claims import Claim, all_claims
from training.reproduce.config import ReproduceConfig
from training.reproduce.networks import Roles, published, roles_of
from training.reproduce.steps import PROTOCOLS, metrics_path, scale_name
from training.reproduce.verdicts import Measured, verdict

NOT_RUN = "not run"
#: What cells hold: the paper's third figure is to be compared with our fourth.
COLUMNS = (
    "Ours: box AP / keypoint AP (95 % interval) / MPJPE in mm, in brackets the share of people found / MPJPE in mm by"
    " the paper's published protocol. The paper's: box AP / keypoint AP / MPJPE in mm by its published protocol."
)
#: Protocol -> scale -> metrics and intervals; a network that is not evaluated has none.
Metrics = Mapping[str, Mapping[str, dict[str, Any]]]


def result_tables(config: ReproduceConfig) -> str:
    """Tables 1 to 3, ours and the paper's."""
    roles, scales = roles_of(config), config.scales
    tables = [
        _table("Before distillation: teacher and student, trained on everyday rooms alone (Table 1)", config, roles,
               [config.teacher, config.undistilled], scales),
        _table("Distilled on unlabelled operating rooms (Table 2)", config, roles,
               _in_table_2(config, roles), scales),
    ]  # fmt: skip
    if config.ablation:
        title = f"Branches and labels at {scale_name(scales[0])} (Table 3)"
        table = _table(title, config, roles, config.ablation, scales[:1], ablation=True)
        tables.append(
            f"{table}\n\nThe paper's two branches have the figures of its ORPose_all here, and others in its Table 2."
        )
    if config.sspcm:
        tables.append(_table("With SSPCM's filter, and with Cut-Occlude", config, roles, config.sspcm, scales))
    return "\n\n".join(tables)


def claim_tables(config: ReproduceConfig, measured: Measured) -> str:
    """Every claim with the paired difference, its interval and the verdict."""
    roles = roles_of(config)
    tables = []
    for title, claims in all_claims(config).items():
        lines = [
            f"### Claims: {title}",
            "",
            "| claim | difference (95 % interval) | the paper, on MVOR+ | verdict |",
            "|---|---|---|---|",
            *(_claim_row(claim, roles, measured) for claim in claims),
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def read_metrics(config: ReproduceConfig, name: str) -> Metrics | None:
    """What `orpose evaluate` has written of a network; None before it has run.

    Raises:
        InputError: A file of something else.
    """
    found = {}
    for protocol in PROTOCOLS:
        path = metrics_path(config, name, protocol)
        if not path.exists():
            return None
        try:
            found[protocol] = json.loads(path.read_bytes())["runs"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: no metrics of `orpose evaluate` ({error}); delete it and run again") from None
    return found


def _table(
    title: str,
    config: ReproduceConfig,
    roles: Roles,
    names: Sequence[str],
    scales: Sequence[float],
    *,
    ablation: bool = False,
) -> str:
    lines = [
        f"### {title}",
        "",
        COLUMNS,
        "",
        "| network | " + " | ".join(scale_name(scale) for scale in scales) + " |",
        "|---" * (len(scales) + 1) + "|",
    ]
    for name in names:
        metrics = read_metrics(config, name)
        lines.append(f"| {name} | " + " | ".join(_cell(metrics, scale_name(scale)) for scale in scales) + " |")
        row = published(roles, name, ablation=ablation)
        if row:
            cells = (_paper_cell(row.get(scale)) for scale in scales)
            lines.append(f"| *{paper.LABEL}* | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _in_table_2(config: ReproduceConfig, roles: Roles) -> list[str]:
    both = {*roles.fixed.values(), roles.all}
    return [name for name in config.distilled if name in both or name not in (*config.ablation, *config.sspcm)]


def _cell(metrics: Metrics | None, scale: str) -> str:
    if metrics is None or any(scale not in metrics[protocol] for protocol in PROTOCOLS):
        return NOT_RUN
    boxes, keypoints, errors = (metrics[protocol][scale] for protocol in PROTOCOLS)
    return " / ".join(_figures(boxes, keypoints, errors))


def _figures(boxes: dict[str, Any], keypoints: dict[str, Any], errors: dict[str, Any]) -> Iterator[str]:
    yield f"{100 * boxes['metrics']['AP']:.1f}"
    interval = keypoints["intervals"]["AP"]
    low, high = 100 * interval["low"], 100 * interval["high"]
    yield f"{100 * keypoints['metrics']['AP']:.1f} ({low:.1f} to {high:.1f})"
    mean, found, missed = (errors["metrics"][name] for name in ("mpjpe_mm", "found", "missed"))
    yield "-" if found == 0 else f"{mean:.0f} [{100 * found / (found + missed):.0f} %]"
    published, people = (errors["metrics"][name] for name in ("published_mm", "published_people"))
    yield "-" if people == 0 else f"{published:.0f}"


def _paper_cell(figures: paper.Figures | None) -> str:
    if figures is None:
        return ""
    return f"*{figures.box_ap:.1f} / {figures.keypoint_ap:.1f} / {figures.mpjpe_mm:.0f}*"


def _claim_row(claim: Claim, roles: Roles, measured: Measured) -> str:
    unit = claim.metric.unit
    text = f"{claim.text} ({unit})"
    theirs = claim.in_paper(roles)
    there = "" if theirs is None else f"*{theirs:+.1f}*"
    if not measured.is_run(claim):
        return f"| {text} | {NOT_RUN} | {there} | |"
    found = measured.difference(claim)
    decimals = 1 if unit == "mm" else 2
    ours = f"{found.value:+.{decimals}f} ({found.low:+.{decimals}f} to {found.high:+.{decimals}f})"
    return f"| {text} | {ours} | {there} | {verdict(claim, found)} |"
