"""Options come from the configuration model: names, defaults, ranges, errors."""

from __future__ import annotations

import argparse
from typing import Literal

import pytest
from pydantic import Field

from orpose.options import add_options, settings_from_args
from orpose_models.errors import ConfigError
from orpose_models.runtime.config import OptionalSize
from orpose_models.settings import Settings, load_settings


class Example(Settings):
    speed: float = Field(default=1.5, ge=0, le=3, description="m/s, 100 % by default")
    kind: Literal["a", "b"] = Field(default="a", description="which one")
    names: tuple[str, ...] = Field(default=("x", "y"), description="names")
    frame_size: OptionalSize = Field(default=None, description="size")
    fast: bool = Field(default=False, description="hurry")


def parse(*words: str, base: dict | None = None) -> Example:
    parser = argparse.ArgumentParser()
    add_options(parser, Example)
    return settings_from_args(Example, parser.parse_args(words), base)


def test_defaults_come_from_the_model():
    assert parse() == Example()


def test_given_options_override_the_base_and_the_base_the_defaults():
    settings = parse("--speed", "2", base={"speed": 0.5, "kind": "b"})
    assert (settings.speed, settings.kind) == (2.0, "b")


def test_lists_sizes_and_booleans():
    settings = parse("--names", "p", "q", "--frame-size", "640x480", "--fast")
    assert settings.names == ("p", "q")
    assert settings.frame_size == (640, 480)
    assert settings.fast is True
    assert parse("--no-fast").fast is False


def test_help_shows_description_range_choices_and_default():
    parser = argparse.ArgumentParser(formatter_class=lambda prog: argparse.HelpFormatter(prog, width=200))
    add_options(parser, Example)
    text = parser.format_help()
    assert "m/s, 100 % by default; >= 0 and <= 3; default: 1.5" in text
    assert "one of a, b; default: a" in text
    assert "default: x y" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--speed", "4"), "command line: speed: got '4': input should be less than or equal to 3"),
        (("--kind", "c"), "command line: kind: got 'c': input should be 'a' or 'b'"),
        (("--frame-size", "640"), "expected WIDTHxHEIGHT"),
        (("--frame-size", "0x4"), "expected WIDTHxHEIGHT"),
    ],
)
def test_bad_values_are_one_line(words, expected):
    with pytest.raises(ConfigError) as caught:
        parse(*words)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yaml_errors_name_the_file(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("speeed: 1\n")
    with pytest.raises(ConfigError, match=r"x\.yaml: speeed: got 1: extra inputs"):
        load_settings(Example, path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping"):
        load_settings(Example, path)
    path.write_text("a: [\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_settings(Example, path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(Example, tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("text", "found"), [("on: true", "bool True"), ("12: x", "int 12"), ("speed: {1: 2}", "speed")]
)
def test_keys_of_yaml_that_are_no_names(tmp_path, text, found):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"x\.yaml: .*{found}"):
        load_settings(Example, path)
