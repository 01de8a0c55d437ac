"""report.html of a synthetic data set: what is in it, and whether it looks like real frames, at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from orpose_models import annotations as ann
from orpose_models.bars import Bars, bar_chart, histogram
from orpose_models.errors import InputError
from orpose_models.html_page import facts_table, figure, page
from orpose_models.skeleton import COCO17
from training.synthetic_or.contact_sheet import contact_sheet
from training.synthetic_or.look import (
    FACTOR,
    MEASURES,
    PERCENTILES,
    REAL,
    REAL_SOURCE,
    measure_all,
    measure_real,
    percentiles,
)

_BLUE, _GREY, _GREEN, _AMBER = "#2563eb", "#94a3b8", "#059669", "#d97706"
#: Images whose pixels are measured; more would take long and change little.
_MEASURED = 400
_GRID = '<div class="charts">'
_HEAT_PX = (64, 48)
_STYLE = """
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; } .range { position: relative; height: 16px; }
.range i { position: absolute; display: block; } .ok { color: #059669; font-weight: 600; } td.range-cell { width: 45%; }
"""


def write_report(data_dir: Path, html: Path, real: Path | None = None) -> None:
    """Writes one self-contained page about the data set in `data_dir` (annotations.json and its images).

    Args:
        data_dir: The data set.
        html: The file to write.
        real: Real frames (folder, video or bag) to compare with, instead of the published statistics.

    Raises:
        AnnotationError: There is no annotations.json or it is not one.
        InputError: It has no images, an image is missing or unreadable, or `html` cannot be written.
    """
    labels = ann.read_annotations(data_dir / "annotations.json")
    if not labels.images:
        raise InputError(f"{data_dir / 'annotations.json'}: has no images; render some with orpose synth")
    reference, source = (REAL, REAL_SOURCE) if real is None else measure_real(real)
    ours = percentiles(measure_all(_read(data_dir / image.file_name) for image in _measured(labels)))
    body = "\n".join(
        [
            f"<style>{_STYLE}</style><h1>orpose synth: {escape(data_dir.resolve().name)}</h1>",
            _tiles(labels),
            f"<h2>Does it look like real frames? (at {FACTOR}x)</h2>",
            _look(ours, reference, source, min(_MEASURED, len(labels.images))),
            "<h2>People</h2>",
            _people(labels),
            "<h2>Joints</h2>",
            _joints(labels),
            "<h2>Where people are, how large and how hidden</h2>",
            _sizes(labels),
            "<h2>Cameras</h2>",
            _cameras(labels),
            "<h2>Images</h2>",
            figure("evenly spread over the set; joints seen (green) and hidden (red)", contact_sheet(data_dir), 1000),
            "<h2>How this was made</h2>",
            facts_table({key: str(value) for key, value in sorted(labels.info.get("synth", {}).items())}),
        ]
    )
    try:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(page(f"orpose synth: {data_dir.resolve().name}", body), "utf-8")
    except OSError as error:
        raise InputError(f"{html}: cannot be written ({error.strerror}); choose another file") from None


def _measured(labels: ann.AnnotationSet) -> list[ann.LabelledImage]:
    count = min(_MEASURED, len(labels.images))
    return [labels.images[i * len(labels.images) // count] for i in range(count)]


def _read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    if picture is None:
        raise InputError(f"{path}: missing or not a readable image, but listed in annotations.json; render again")
    return np.asarray(picture, np.uint8)


def _tiles(labels: ann.AnnotationSet) -> str:
    people = [person for person in labels.persons if not person.is_crowd]
    with_people = {person.image_id for person in people}
    scenes = {image.sequence for image in labels.images}
    tiles = {
        "images": len(labels.images),
        "scenes": len(scenes),
        "cameras": len(labels.cameras),
        "people labelled": len(people),
        "regions to ignore": len(labels.persons) - len(people),
        "images with nobody": len(labels.images) - len(with_people),
        "visible joints": sum(int((p.keypoints[:, 2] == 2).sum()) for p in people if p.keypoints is not None),
    }
    return '<div class="tiles">' + "".join(_tile(str(value), name) for name, value in tiles.items()) + "</div>"


def _tile(value: str, name: str) -> str:
    return f'<div class="tile"><b>{value}</b>{escape(name)}</div>'


# ---------------------------------------------------------------------------------------------------------------- look


def _look(
    ours: Mapping[str, tuple[float, ...]], real: Mapping[str, tuple[float, ...]], source: str, measured: int
) -> str:
    """A row for each measure: both medians, both ranges drawn, and whether ours covers the real median."""
    rows = []
    for name, meaning in MEASURES.items():
        low, middle, high = ours[name][0], ours[name][2], ours[name][-1]
        wanted = real[name][2]
        verdict = (
            '<span class="ok">covered</span>'
            if low <= wanted <= high
            else f'<span class="bad">{"too low" if high < wanted else "too high"}</span>'
        )
        limit = max(ours[name][-1], real[name][-1], 1e-9) * 1.08
        ranges = _range(ours[name], limit, _BLUE) + _range(real[name], limit, _AMBER)
        rows.append(
            f'<tr><th>{name}</th><td>{middle:.1f}</td><td>{wanted:.1f}</td><td class="range-cell">{ranges}</td>'
            f'<td>{verdict}</td><td style="text-align:left">{escape(meaning)}</td></tr>'
        )
    head = "<tr><th></th><th>ours</th><th>real</th><th>5 to 95 %, 25 to 75 %, median</th><th></th><th></th></tr>"
    note = (
        f'<p class="note"><span style="color:{_BLUE}">■</span> {measured} images of this set, '
        f'<span style="color:{_AMBER}">■</span> {escape(source)}; downsampled {FACTOR} times, levels 0 to 255. '
        "Covered: the real median lies between our 5th and 95th percentile.</p>"
    )
    return f"<table>{head}{''.join(rows)}</table>{note}"


def _range(levels: tuple[float, ...], limit: float, color: str) -> str:
    """A line from the 5th to the 95th percentile, a bar from the 25th to the 75th, a tick at the median."""
    p5, p25, p50, p75, p95 = (100.0 * level / limit for level in levels)
    title = ", ".join(f"{p} %: {level:.1f}" for p, level in zip(PERCENTILES, levels, strict=True))
    return (
        f'<div class="range" title="{title}">'
        f'<i style="left:{p5:.1f}%;width:{max(p95 - p5, 0.4):.1f}%;top:7px;height:2px;background:{color}"></i>'
        f'<i style="left:{p25:.1f}%;width:{max(p75 - p25, 0.4):.1f}%;top:3px;height:10px;background:{color};opacity:.5"'
        f'></i><i style="left:{p50:.1f}%;width:3px;top:0;height:16px;background:{color}"></i></div>'
    )


# -------------------------------------------------------------------------------------------------------------- people


def _people(labels: ann.AnnotationSet) -> str:
    people = [person for person in labels.persons if not person.is_crowd]
    count = Counter(Counter(person.image_id for person in people).values())
    count[0] = len(labels.images) - len({person.image_id for person in people})
    numbers = [str(number) for number in range(max(count) + 1)]
    shares = [100.0 * count[int(number)] / len(labels.images) for number in numbers]
    return (
        _GRID
        + bar_chart(numbers, [Bars("images", _BLUE, shares)], "people in an image", "% of images")
        + _counted([person.role or "none" for person in people], "role")
        + _counted([person.outfit or "none" for person in people], "outfit")
        + "</div>"
    )


def _counted(values: list[str], name: str) -> str:
    counts = Counter(values).most_common()
    shares = [100.0 * number / max(1, len(values)) for _, number in counts]
    return bar_chart([value for value, _ in counts], [Bars("people", _GREEN, shares)], name, "% of people")


def _joints(labels: ann.AnnotationSet) -> str:
    """Stacked shares of seen, hidden and outside, joint by joint."""
    flags = [p.keypoints[:, 2] for p in labels.persons if p.keypoints is not None and not p.is_crowd]
    table = np.array(flags).reshape(-1, COCO17.num_joints)
    kinds = (("seen", _GREEN, 2), ("hidden", _AMBER, 1), ("outside the image", _GREY, 0))
    series = [
        Bars(name, color, (100.0 * (table == flag).sum(0) / max(1, len(table))).tolist()) for name, color, flag in kinds
    ]
    # Left and right are shown as one: 9 names fit where 17 do not.
    names = [name.replace("left_", "") for name in COCO17.joint_names if not name.startswith("right_")]
    index = {name: i for i, name in enumerate(COCO17.joint_names)}
    merged = [
        Bars(
            bars.name,
            bars.color,
            [float(np.mean([bars.values[index[n]] for n in index if n.split("_")[-1] == name])) for name in names],
        )
        for bars in series
    ]
    chart = bar_chart(names, merged, "joint (left and right together)", "% of people", stacked=True)
    head = "".join(f"<th>{name}</th>" for name, _, _ in kinds)
    rows = "".join(
        f"<tr><th>{joint}</th>{''.join(f'<td>{bars.values[i]:.1f}</td>' for bars in series)}</tr>"
        for joint, i in index.items()
    )
    return f"{_GRID}{chart}<table><tr><th>%</th>{head}</tr>{rows}</table></div>"


# ------------------------------------------------------------------------------------------- sizes, places and cameras


def _sizes(labels: ann.AnnotationSet) -> str:
    people = [person for person in labels.persons if not person.is_crowd]
    sizes = {image.image_id: (image.width, image.height) for image in labels.images}
    heights = np.array([100.0 * p.bbox[3] / sizes[p.image_id][1] for p in people])
    distances = [float(np.linalg.norm(p.keypoints_3d[0, :3])) / 1000 for p in people if p.keypoints_3d is not None]
    shares = np.array([s for p in people if (s := _visible_share(p, sizes[p.image_id])) is not None])
    heat = figure("boxes of all people: bright where most of them are", _heatmap(people, sizes))
    return (
        _GRID
        + histogram([("people", _BLUE, heights)], 0, 100, 20, "height of the visible box, % of the image's")
        + histogram([("people", _BLUE, np.array(distances))], 0, 8, 16, "distance of the pelvis from the camera, m")
        + histogram(
            [("people", _BLUE, 100 * shares)], 0, 100, 20, "visible box, % of the whole body's within the image"
        )
        + heat
        + "</div>"
    )


def _visible_share(person: ann.PersonLabel, size: tuple[int, int]) -> float | None:
    """Area of the visible box as a share of that of the amodal box within the image."""
    if person.bbox_amodal is None:
        return None
    low = np.clip(person.bbox_amodal[:2], 0, size)
    high = np.clip(person.bbox_amodal[:2] + person.bbox_amodal[2:], 0, size)
    whole = float(np.prod(high - low))
    return float(min(1.0, person.bbox[2] * person.bbox[3] / whole)) if whole > 0 else None


def _heatmap(people: list[ann.PersonLabel], sizes: Mapping[int, tuple[int, int]]) -> NDArray[np.uint8]:
    """`(240, 320, 3)` BGR: how many boxes cover each place, whatever the images' sizes."""
    counts = np.zeros((_HEAT_PX[1], _HEAT_PX[0]))
    for person in people:
        scale = np.array(_HEAT_PX) / sizes[person.image_id]
        x0, y0 = np.floor(person.bbox[:2] * scale).astype(int)
        x1, y1 = np.ceil((person.bbox[:2] + person.bbox[2:]) * scale).astype(int)
        counts[max(0, y0) : y1, max(0, x0) : x1] += 1
    levels = (255 * counts / max(1.0, counts.max())).astype(np.uint8)
    picture = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.resize(picture, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST), np.uint8)


def _cameras(labels: ann.AnnotationSet) -> str:
    cameras = list(labels.cameras.values())
    poses = [camera.room_from_camera for camera in cameras if camera.room_from_camera is not None]
    heights = np.array([pose[2, 3] for pose in poses])
    pitches = np.array([np.degrees(np.arcsin(np.clip(-pose[2, 2], -1, 1))) for pose in poses])
    views = np.array([_field_of_view_deg(camera) for camera in cameras])
    models = ", ".join(f"{number} {model}" for model, number in Counter(c.model for c in cameras).most_common())
    return (
        _GRID
        + histogram([("cameras", _GREEN, heights)], 1.0, 4.0, 15, "height above the floor, m")
        + histogram([("cameras", _GREEN, pitches)], -10, 90, 20, "looks down by, degrees")
        + histogram([("cameras", _GREEN, views)], 30, 190, 16, "horizontal field of view without distortion, degrees")
        + f'<p class="note">Lenses: {escape(models)}</p></div>'
    )


def _field_of_view_deg(camera: ann.Camera) -> float:
    half = camera.image_size[0] / 2 / camera.fx
    return float(np.degrees(2 * (half if camera.model == "equidistant" else np.arctan(half))))
