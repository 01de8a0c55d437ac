"""README and docs/training.md agree with the code: tables, code blocks, commands, paths and links.

`ORPOSE_UPDATE_README=1 pytest tests/test_readme.py` rewrites the generated tables.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from orpose import main as command

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
TRAINING = ROOT / "docs" / "training.md"

TABLE = re.compile(
    r"<!-- table: (?P<source>[\w.]+:\w+)(?: without (?P<without>[\w.]+:\w+))? -->\n.*?<!-- end -->", re.DOTALL
)
CODE_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.S | re.M)
LINK = re.compile(r"\]\((?!https?://|#)(?P<path>[^)#]+)(?:#[^)]*)?\)")
OPEN_SPOT = re.compile(r"<!-- fill:")


def code_blocks(language: str, text: str = TEXT) -> list[str]:
    return [match["code"] for match in CODE_BLOCK.finditer(text) if match["language"] == language]


def commands(program: str, text: str = TEXT) -> list[list[str]]:
    """Words of every line of the shell blocks that calls `program`, continued lines joined, comments dropped."""
    lines = "\n".join(code_blocks("bash", text)).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line and Path(line[0]).name == program]


# --- generated tables ----------------------------------------------------------------------------------------------


def load(name: str) -> Any:
    module, attribute = name.split(":")
    return getattr(importlib.import_module(module), attribute)


def commands_table() -> str:
    rows = [f"| `orpose {name}` | {summary} |" for name, summary in command.COMMANDS.items()]
    return "\n".join(["| command | what it does |", "|---|---|", *rows]) + "\n"


def fields_table(model: Any, without: Any = None) -> str:
    """One row for each field of a pydantic model that `without` does not have."""
    rows = ["| name | default | values | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if without is None or name not in without.model_fields:
            meaning = (field.description or "").replace("|", "\\|")
            rows.append(f"| `{name}` | {_default(field)} | {_values(field)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", ()):
        return "empty"
    if isinstance(value, BaseModel):
        return "below"
    if value == {}:
        return "`{}`"
    if isinstance(value, list | tuple) and any(isinstance(part, BaseModel) for part in value):
        return f"`[{', '.join(str(part.model_dump()) for part in value)}]`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(str(part) for part in value)}]`"
    if isinstance(value, float) and len(str(value)) > _FIGURES:
        return f"`{value:.{_FIGURES}g}...`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(field: FieldInfo) -> str:
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    limits = {name: getattr(limit, name) for limit in field.metadata for name in _SIGNS if hasattr(limit, name)}
    low, high = limits.get("ge"), limits.get("le")
    if low is not None and high is not None and len(limits) == 2:
        return f"{low:g} to {high:g}"
    if limits:
        return ", ".join(f"{_SIGNS[name]} {value:g}" for name, value in limits.items())
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "metavar" in extra:
        return str(extra["metavar"])
    return _WORDS.get(annotation, "")


_WORDS: dict[Any, str] = {
    Path: "path",
    bool: "`true`, `false`",
    str: "text",
    int: "integer",
    float: "number",
    tuple[str, ...]: "list of text",
}
#: Figures of a number that does not end, such as 1/9; its description says what it is.
_FIGURES = 6
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def with_generated_tables(text: str) -> str:
    def fill(match: re.Match[str]) -> str:
        source = load(match["source"])
        without = load(match["without"]) if match["without"] else None
        table = commands_table() if source is command.COMMANDS else fields_table(source, without)
        return f"{match[0].splitlines()[0]}\n{table}<!-- end -->"

    return TABLE.sub(fill, text)


@pytest.mark.parametrize("document", [README, TRAINING], ids=lambda path: path.name)
def test_tables_are_those_of_the_code(document):
    pytest.importorskip("torch" if document == TRAINING else "pydantic")
    text = document.read_text(encoding="utf-8")
    expected = with_generated_tables(text)
    if os.environ.get("ORPOSE_UPDATE_README"):
        document.write_text(expected, encoding="utf-8")
        return
    assert expected == text, f"run ORPOSE_UPDATE_README=1 pytest tests/test_readme.py and commit {document.name}"


def test_commands_and_configuration_models_have_their_table():
    assert {match["source"] for match in TABLE.finditer(TEXT)} == {
        "orpose.main:COMMANDS",
        "orpose_models.runtime.config:RuntimeConfig",
        "orpose_ros.config:NodeConfig",
    }


# --- code, commands, paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", code_blocks("python"), ids=lambda code: code.strip().splitlines()[0])
def test_python_blocks_run(code, tmp_path, monkeypatch):
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "frame.png"), np.full((480, 640, 3), 90, np.uint8))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), {"__name__": "__main__"})


def test_python_blocks_are_short():
    assert code_blocks("python")
    assert all(len(code.strip().splitlines()) <= 12 for code in code_blocks("python"))


def test_the_two_commands_come_first():
    first = code_blocks("bash")[0]
    assert [line.split("#")[0].strip() for line in first.splitlines() if line.startswith("make")] == [
        "make demo",
        "make test",
    ]


@pytest.mark.parametrize(
    "words", commands("orpose") + commands("orpose", TRAINING.read_text(encoding="utf-8")), ids=" ".join
)
def test_orpose_commands_parse(words):
    args = command.build_parser(words[1]).parse_args(words[1:])
    assert args.command == words[1]


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w.-]+)\s*:(?!=)", makefile, re.M))
    assert {target for words in commands("make") for target in words[1:]} <= targets


@pytest.mark.parametrize("words", [words for words in commands("ros2") if words[1] == "launch"], ids=" ".join)
def test_launch_lines_name_launch_files_and_declared_arguments(words):
    launch_file = ROOT / "launch" / words[3]
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "launch").glob("*.py"))
    parameters = importlib.import_module("orpose_ros.config").NodeConfig.model_fields
    assert words[2] == "orpose"
    assert launch_file.is_file()
    for argument in words[4:]:
        name = argument.split(":=")[0]
        assert name in parameters or re.search(rf"['\"]{name}['\"]", sources), f"{name}: not declared in launch/"


def test_the_file_tree_exists_and_names_every_top_folder():
    tree = next(code for code in code_blocks("text") if "orpose_models/" in code)
    parents: dict[int, Path] = {-1: ROOT}
    shown = set()
    for line in tree.splitlines():
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        for name in re.split(r"  +", line.strip())[0].split(", "):
            parents[depth] = parents[depth - 1] / name
            assert parents[depth].exists(), f"the file tree names {name}, which is not there"
            shown.add(str(parents[depth].relative_to(ROOT)).split("/")[0])
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert folders - shown - {"out", "build", "install", "log"} - _ignored_folders() == set()


def _ignored_folders() -> set[str]:
    return {path.name for path in ROOT.iterdir() if path.name.endswith(".egg-info") or path.name == "__pycache__"}


@pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name
)
def test_links_lead_somewhere(document):
    links = [match["path"] for match in LINK.finditer(document.read_text(encoding="utf-8"))]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_warning_is_there():
    assert "Not a medical device and not for safety-rated separation of people and robots" in TEXT


def test_nothing_is_left_to_fill_in():
    assert [number for number, line in enumerate(TEXT.splitlines(), 1) if OPEN_SPOT.search(line)] == []
