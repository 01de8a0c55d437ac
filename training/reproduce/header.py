"""The head of the tables: where, when, by what and at what scale they were made."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from orpose_models.machine import describe_machine, machine_line
from orpose_models.runtime.downsample import REFERENCE_LINES
from orpose_models.settings import read_yaml_mapping
from training.distill.checkpoint import source_commit
from training.distill.config import read_config
from training.reproduce import paper
from training.reproduce.config import RESAMPLING, ReproduceConfig
from training.reproduce.networks import Roles, roles_of
from training.reproduce.tables import NOT_RUN
from training.teacher.config import read_teacher_config


def header(config: ReproduceConfig, command: Sequence[str]) -> str:
    """Title, facts, what was reduced, and how every network was trained."""
    now = datetime.now(timezone.utc)
    facts = [
        f"# The papers' tables on SynthOR: {config.name}",
        "",
        f"- command: `{shlex.join(command)}`",
        f"- machine: {machine_line(describe_machine())}",
        f"- commit of this page: {source_commit()}; date: {now:%Y-%m-%d %H:%M} UTC",
        f"- intervals: {RESAMPLING.confidence:.0%}, {RESAMPLING.bootstrap} bootstrap samples of whole test"
        " scenes, differences on the same samples. They tell how far the test images decide, not what another seed of"
        " training would give.",
        f"- keypoint AP: over {config.joints} joints (`--joints {config.joints}`).",
        "- MPJPE: over labelled joints of the people found, in claims too; beside it in tables that of the published"
        " protocol, which the paper's figures are by: a joint without a label counts as zero error.",
        f"- the paper: {paper.CITATION}. Its figures are of real images, MVOR+, not of this test.",
    ]
    return "\n".join([*facts, "", *_reduced(config), "", *_networks(config)])


def _reduced(config: ReproduceConfig) -> Iterator[str]:
    """What is smaller than in the paper."""
    yield "| | here | the paper |"
    yield "|---|---|---|"
    yield f"| unlabelled images | {config.images['or_unlabelled']} | {paper.UNLABELLED_IMAGES} |"
    yield f"| test images | {config.images['or_test']} | {paper.TEST_IMAGES} |"
    yield f"| images, px | {config.size} | {paper.IMAGE_SIZE} |"
    yield f"| the students' input, px | {config.input_size} | {paper.IMAGE_SIZE} |"
    yield f"| the finest that is left of a 480-line frame | {_finest(config)} | 1x |"
    yield f"| student | {read_config(config.configs / f'{config.undistilled}.yaml').preset} | {paper.STUDENT_NETWORK} |"
    yield f"| images a batch | see below | {paper.BATCH_SIZE} |"
    yield f"| teacher | {read_teacher_config(config.teacher_stages).notes} | {paper.TEACHER_NETWORK} |"


def _finest(config: ReproduceConfig) -> str:
    """An input of 120 lines holds no more than downsampling by 4 leaves."""
    lines = int(config.input_size.split("x")[1])
    return f"{max(1.0, REFERENCE_LINES / lines):g}x"


def _networks(config: ReproduceConfig) -> Iterator[str]:
    roles = roles_of(config)
    yield "| network | preset | input | batch | iterations | the paper's | images | minutes | machine | commit |"
    yield "|---" * 10 + "|"
    for name in dict.fromkeys((*config.trained_first, *config.distilled)):
        planned = read_config(config.configs / f"{name}.yaml")
        done = _done(config, name)
        stages = " then ".join(f"{s.size[0]}x{s.size[1]}" for s in planned.stages)
        batches = " then ".join(str(s.batch_size) for s in planned.stages)
        cells = [name, planned.preset, stages, batches, *done[:1], _published_iterations(roles, name), *done[1:]]
        yield "| " + " | ".join(cells) + " |"


def _done(config: ReproduceConfig, name: str) -> list[str]:
    """Iterations, training images, minutes, machine and commit, from the card of the trained weights."""
    card_path = config.runs / name / "weights.yaml"
    if not card_path.exists():
        return [NOT_RUN, "", "", "", ""]
    card: dict[str, Any] = read_yaml_mapping(card_path)
    schedule: dict[str, Any] = card.get("schedule", {})
    facts = (schedule.get(key, "?") for key in ("iterations", "training_images", "minutes", "machine"))
    return [*map(str, facts), str(card.get("commit", "?"))]


def _published_iterations(roles: Roles, name: str) -> str:
    if name == roles.all:
        return str(paper.ITERATIONS_ALL)
    if name not in roles.fixed.values():
        return ""
    return str(paper.ITERATIONS_1X if name == roles.fixed.get(1) else paper.ITERATIONS_FIXED)
