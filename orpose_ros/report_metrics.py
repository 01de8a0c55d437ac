"""The table of all metrics in a replay's report: how each is written, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

_COUNT, _SHARE, _SIZE = "{:.0f}", "{:.3f}", "{:.1f}"


def _precisions(likeness: str) -> dict[str, tuple[str, str]]:
    return {
        "AP": (_SHARE, f"average precision, 0 to 1: mean over thresholds of {likeness} from 0.50 to 0.95"),
        "AP50": (_SHARE, f"average precision where {likeness} of 0.50 is enough"),
        "AP75": (_SHARE, "the same with 0.75"),
        "AP_medium": (_SHARE, "AP of people between 32 x 32 and 96 x 96 px"),
        "AP_large": (_SHARE, "AP of larger people"),
    }


#: Protocol -> metric, as in stats.json -> how it is written, and what it says.
METRICS: dict[str, dict[str, tuple[str, str]]] = {
    "coco-bbox": {
        **_precisions("overlap (IoU) with the labelled box"),
        "AP_small": (_SHARE, "AP of people below 32 x 32 px"),
        "AR1": (_SHARE, "average recall, 0 to 1: share of people found, with the best box of each image alone"),
        "AR10": (_SHARE, "average recall with the best 10 boxes of each image"),
        "AR100": (_SHARE, "average recall with the best 100 boxes"),
        "AR_small": (_SHARE, "AR100 of people below 32 x 32 px"),
        "AR_medium": (_SHARE, "AR100 of people between 32 x 32 and 96 x 96 px"),
        "AR_large": (_SHARE, "AR100 of larger people"),
    },
    "coco-keypoints": {
        **_precisions("likeness (OKS) to the labelled joints"),
        "AR": (_SHARE, "average recall, 0 to 1: share of people found, mean over the same thresholds"),
        "AR50": (_SHARE, "recall where a likeness of 0.50 is enough"),
        "AR75": (_SHARE, "the same with 0.75"),
        "AR_medium": (_SHARE, "AR of people between 32 x 32 and 96 x 96 px"),
        "AR_large": (_SHARE, "AR of larger people"),
    },
    "mpjpe": {
        "mpjpe_mm": (_SIZE, "mean distance of 3D joints from the labels, mm: eight upper-body joints, from the hips"),
        "found": (_COUNT, "people it is measured on: labels with both hips, counted in every frame"),
        "missed": (_COUNT, "such people who were not found"),
        "without_root": (_COUNT, "labels left out because a hip has no 3D place"),
        "published_mm": (_SIZE, "the same as in MVOR's public evaluation, mm: joints without a label count as right"),
        "published_people": (_COUNT, "people that one is measured on"),
    },
    "identity": {
        "HOTA": (_SHARE, "finding people and keeping their identities, together, 0 to 1"),
        "DetA": (_SHARE, "its part for finding people"),
        "AssA": (_SHARE, "its part for keeping identities"),
        "MOTA": (_SHARE, "1 less the share of misses, wrong finds and exchanged identities; may be below 0"),
        "IDF1": (_SHARE, "balance of precision and recall of boxes that have the right identity, 0 to 1"),
        "id_switches": (_COUNT, "times that a person's identity changed"),
        "fragments": (_COUNT, "times that a person was lost and found again"),
        "persons": (_COUNT, "labelled people, counted in every frame"),
        "found": (_COUNT, "of them found"),
        "jitter_px_s": (_SIZE, "mean difference of found and labelled speeds of 2D joints, px/s"),
        "jitter_mm_s": (_SIZE, "the same of 3D joints relative to the pelvis, mm/s"),
        "jitter_metric_mm_s": (_SIZE, "the same of joints in metres, in the camera's frame, mm/s"),
        "lag_ms": (_SIZE, "how late 2D joints follow, smoothing and the network's own offset together, ms"),
    },
    "places": {
        "joint_mm": (_SIZE, "mean distance of joints in metres from the labels, in the camera's frame, mm"),
        "joint_mm_median": (_SIZE, "median of it, mm"),
        "seen_mm": (_SIZE, "mean of joints that are seen in the image, mm"),
        "hidden_mm": (_SIZE, "mean of hidden joints, mm"),
        "depth_root_mm": (_SIZE, "mean distance of the pelvis, where depth gave its place, mm"),
        "depth_root_within": (_SHARE, "share of these within the 95 % region of the published covariance"),
        "depth_root_people": (_COUNT, "people placed by depth, counted in every frame"),
        "size_root_mm": (_SIZE, "mean distance of the pelvis, where the body's size gave its place, mm"),
        "size_root_within": (_SHARE, "share of these within the 95 % region of the published covariance"),
        "size_root_people": (_COUNT, "people placed by size, counted in every frame"),
        "persons": (_COUNT, "labelled people who were found and placed"),
    },
}  # fmt: skip


def accuracy_table(accuracy: Mapping[str, Any]) -> str:
    """Every metric: over the answered frames, and over all frames sent where these are others.

    Args:
        accuracy: Of `orpose_ros.accuracy.measure`.
    """
    kinds = ["answered"] if accuracy["answered"]["images"] == accuracy["sent"]["images"] else ["answered", "sent"]
    heads = "".join(f"<th>{'answered frames' if kind == 'answered' else 'all frames sent'}</th>" for kind in kinds)
    rows = []
    for protocol in (name for name in accuracy["answered"] if name != "images"):
        metrics = accuracy["answered"][protocol]
        if "not_measured" in metrics:
            reason = escape(metrics["not_measured"])
            rows.append(f'<tr><th>{protocol}</th><td colspan="{len(kinds) + 2}" class="text">{reason}</td></tr>')
            continue
        known = [name for name, value in metrics.items() if value != -1]
        for place, name in enumerate(known):
            form, words = METRICS[protocol][name]
            head = f'<th rowspan="{len(known)}">{protocol}</th>' if place == 0 else ""
            values = "".join(f"<td>{_written(form, accuracy[kind][protocol].get(name))}</td>" for kind in kinds)
            meaning = f'<td class="text">{escape(words)}</td>'
            rows.append(f"<tr>{head}<th>{name}</th>{values}{meaning}</tr>")
    table = f"<table><tr><th></th><th></th>{heads}<th>what it says</th></tr>{''.join(rows)}</table>"
    return f"<details><summary>All metrics</summary>{table}</details>"


def _written(form: str, value: float | None) -> str:
    return "-" if value is None or value == -1 else form.format(value)
