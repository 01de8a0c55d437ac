"""Pictures of a run for people to look at: augmented samples with their labels, and learning curves."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models.files import write_atomically
from orpose_models.skeleton import COCO17
from training.data.sample import Sample

VISIBLE, HIDDEN, CROWD = (80, 220, 60), (60, 160, 255), (160, 160, 160)


def draw_labels(sample: Sample) -> NDArray[np.uint8]:
    """The sample's image with boxes and joints: visible green, hidden orange, ignored regions grey."""
    image = np.ascontiguousarray(sample.image)
    for box, crowd, joints in zip(sample.boxes, sample.crowd, sample.soft, strict=True):
        x1, y1, x2, y2 = (int(value) for value in box)
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), CROWD if crowd else VISIBLE, 1)
        if crowd:
            continue
        points = [(int(x), int(y)) for x, y, _ in joints]
        for a, b in COCO17.limbs:
            if joints[a, 2] > 0 and joints[b, 2] > 0:
                colour = VISIBLE if min(joints[a, 2], joints[b, 2]) >= 1 else HIDDEN
                cv2.line(image, points[a], points[b], colour, 1, cv2.LINE_AA)
        for point, joint in zip(points, joints, strict=True):
            if joint[2] > 0:
                cv2.circle(image, point, 2, VISIBLE if joint[2] >= 1 else HIDDEN, -1)
    return image


def write_sheet(path: Path, images: Sequence[NDArray[np.uint8]], columns: int = 6) -> None:
    """One picture of equally large images, row by row."""
    blank = np.zeros_like(images[0])
    rows = [list(images[i : i + columns]) for i in range(0, len(images), columns)]
    rows[-1] += [blank] * (columns - len(rows[-1]))
    _, encoded = cv2.imencode(".png", np.vstack([np.hstack(row) for row in rows]))
    write_atomically(path, encoded.tobytes())


def write_curves(path: Path, log: Path) -> None:
    """Loss components, gradient norm, learning rate and validation metrics of a log.jsonl over the minutes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    validations = [line for line in lines if "validation" in line]
    figure = Figure(figsize=(15, 4.5))
    FigureCanvasAgg(figure)
    losses, optimiser, metrics = figure.subplots(1, 3)
    minutes = [line["minutes"] for line in steps]
    for name in sorted({name for line in steps for name in line if name.startswith("loss")}):
        losses.plot(minutes, [line[name] for line in steps], label=name, linewidth=2 if name == "loss" else 1)
    optimiser.plot(minutes, [line["grad_norm"] for line in steps], label="gradient norm")
    rate = optimiser.twinx()
    rate.plot(minutes, [line["lr"] for line in steps], color="tab:red")
    rate.set_ylabel("learning rate", color="tab:red")
    for name in sorted({name for line in validations for name in line["validation"]}):
        at = [line["minutes"] for line in validations]
        metrics.plot(at, [line["validation"][name] for line in validations], marker="o", label=name)
    if steps:
        losses.set_yscale("log")
        optimiser.set_yscale("log")
    for axes, title in ((losses, "training losses"), (optimiser, "optimiser"), (metrics, "validation")):
        axes.set_title(title)
        axes.set_xlabel("minutes")
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    figure.tight_layout()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=80)
    write_atomically(path, picture.getvalue())
