"""The report of `orpose bench` as text of at most 100 columns, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

Item = Mapping[str, Any]

_COLUMNS = 100
_STAGES = ("decode", "preprocess", "infer", "post")


def table(report: Item) -> str:
    """The report: machine, one row a contestant, stages, ratios to the peers, roofline, and what was left out."""
    parts = [_head(report), _rows(report["contestants"]), _stages(report["contestants"]), *_foot(report)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _head(report: Item) -> list[str]:
    from orpose_models.machine import machine_line

    machine, settings = report["machine"], report["settings"]
    return [
        machine_line(machine),
        *(f"GPU: {name}" for name in report["gpus"]),
        ", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
        f"load average {machine['load_average_1min']} before the start; other processes disturb the figures",
        f"{settings['threads'] or 'all'} threads, each in a process of its own, in turns; watts: {report['power']}",
    ]


def _rows(items: Sequence[Item]) -> list[str]:
    columns = (
        ("input", 9), ("batch", 6), ("slots", 6), ("ms", 7), ("p95", 7), ("p99", 7), ("images/s", 9), ("MiB", 6),
        ("W", 6),
    )  # fmt: skip
    title = f"{'model, backend':<37}" + "".join(f"{name:>{width}}" for name, width in columns)
    return [title, *(_row(item) for item in items)]


def _row(item: Item) -> str:
    width, height = item["input_size"]
    total = item["stages_ms"]["total"]
    watts = "-" if item["watts"] is None else f"{item['watts']:.1f}"
    return (
        f"{shortened(item['name'], 36):<37}{f'{width}x{height}':>9}{item['batch']:>6}{item['persons'] or '-':>6}"
        f"{_ms(total['median']):>7}{_ms(total['p95']):>7}{_ms(total['p99']):>7}"
        f"{item['frames_per_second']:>9.1f}{item['peak_memory_mib']:>6.0f}{watts:>6}"
    )


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.0f}"


def shortened(text: str, length: int) -> str:
    """The text, its middle left out where it is longer."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[len(text) - (length - 1 - half) :]}"


def _stages(items: Sequence[Item]) -> list[str]:
    """Also what does not fit into the table above: memory on the GPU."""
    with_gpu = any(item.get("gpu_memory_mib") for item in items)
    title = f"{'stages, median ms':<48}" + "".join(f"{stage:>11}" for stage in _STAGES)
    lines = [title + (f"{'GPU MiB':>8}" if with_gpu else "")]
    for item in items:
        medians = [item["stages_ms"].get(stage) for stage in _STAGES]
        label = f"{shortened(item['name'], 36)} {item['input_size'][0]}x{item['input_size'][1]}"
        label += f" b{item['batch']}" if item["batch"] > 1 else ""
        line = f"{label:<48}" + "".join(f"{'-' if m is None else format(m['median'], '.2f'):>11}" for m in medians)
        lines.append(line + (_gpu_memory(item) if with_gpu else ""))
    return lines


def _gpu_memory(item: Item) -> str:
    memory = item.get("gpu_memory_mib")
    return f"{'-' if memory is None else format(memory['allocated'], '.0f'):>8}"


def _foot(report: Item) -> list[list[str]]:
    ratios = [
        fill(
            f"{ratio['peer']} takes {ratio['median']:.2f} times as long as {ratio['ours']} "
            f"({min(ratio['rounds']):.2f}-{max(ratio['rounds']):.2f})",
            _COLUMNS,
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        for ratio in report["ratios"]
    ]
    return [
        ratios,
        list(report["notes"]),
        _roofline(report["roofline"]),
        [f"left out: {why}" for why in report["left_out"]],
    ]


def _roofline(roofline: Item | None) -> list[str]:
    if roofline is None:
        return []
    lines = []
    for device, found in roofline["ceilings"].items():
        half = f", {found['half_gflops_per_s']:.0f} in float16" if found["half_gflops_per_s"] else ""
        lines.append(
            f"roofline, {device}: measured {found['gflops_per_s']:.0f} GFLOP/s{half} (matrix product), "
            f"{found['gbytes_per_s']:.1f} GB/s (copy)"
        )
    lines.append("  what a call costs, how long it takes at best, what bounds it, the share reached")
    for entry in roofline["models"]:
        lines.append(
            f"  {shortened(entry['name'], 47):<47}{entry['gflop']:>7.1f} GFLOP{entry['mbytes']:>5.0f} MB, "
            f"{entry['bound_ms']:>6.2f} ms ({entry['bound_by']}), {entry['share']:.0%}"
        )
    return lines


def require_matplotlib(path: Path) -> None:
    """Raises BackendError where nothing can be plotted, InputError where a plot cannot have this name."""
    from orpose_models.errors import BackendError, InputError

    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise BackendError(f"--plot needs matplotlib ({error}): pip install 'orpose[evaluate]'") from None
    if path.suffix[1:].lower() not in FigureCanvasBase.get_supported_filetypes():
        raise InputError(f"{path}: --plot cannot be of this kind; give a file name that ends in .png")


def write_plot(report: Item, path: Path) -> None:
    """Horizontal bars of the median latencies, p95 as a line, peers in another colour."""
    from matplotlib.figure import Figure

    items = list(reversed(report["contestants"]))
    figure = Figure(figsize=(9, 1 + 0.35 * len(items)), layout="constrained")
    axes = figure.subplots()
    totals = [item["stages_ms"]["total"] for item in items]
    colours = ["tab:gray" if item["is_peer"] else "tab:blue" for item in items]
    axes.barh(range(len(items)), [total["median"] for total in totals], color=colours)
    axes.hlines(
        range(len(items)), [t["median"] for t in totals], [t["p95"] for t in totals], color="black", linewidth=1
    )
    labels = [
        f"{item['name']}, {item['input_size'][0]}x{item['input_size'][1]}, batch {item['batch']}" for item in items
    ]
    axes.set_yticks(range(len(items)), labels, fontsize=8)
    axes.set_xlabel("median latency of a call, ms (line: to p95)")
    for place, total in enumerate(totals):
        axes.annotate(f" {total['median']:.1f}", (total["p95"], place), va="center", fontsize=8)
    axes.margins(x=0.08)
    axes.set_title(f"{report['machine']['processor']}, {report['settings']['threads'] or 'all'} threads", fontsize=9)
    figure.savefig(path, dpi=120)
