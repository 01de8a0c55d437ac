"""Joins the shards of a data set into one label file, a scene at a time: memory does not grow with their number."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orpose_models import annotations as ann
from orpose_models.errors import InputError
from orpose_models.files import cannot_be_written, remove_if_possible, temporary_path
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.mvor import MvorKeys
from training.synthetic_or.shards import REJECTED, read_shard

_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Summary:
    """What a data set holds.

    Attributes:
        images, people: Numbers of them.
        ignored: People that are regions to ignore.
        empty: Images with nobody in them.
        rejected: Reason -> how many views were drawn again or given up for it.
    """

    images: int
    people: int
    ignored: int
    empty: int
    rejected: dict[str, int]


def merge(config: SynthConfig, out: Path, *, mvor: bool = False) -> Summary:
    """Writes `out/annotations.json` from the shards; with `mvor` MVOR's keys as well.

    Raises:
        InputError: A scene is missing or damaged, no scene has an image, or the file cannot be written.
        ConfigError: A camera does not fit MVOR's format.
    """
    target = out / "annotations.json"
    temporary = temporary_path(target)
    try:
        with contextlib.ExitStack() as stack:
            parts = _Parts(stack, out)
            summary = _collect(config, out, parts, MvorKeys() if mvor else None)
            if not summary.images:
                raise InputError(
                    f"{out}: no images: a wall or things filled every view; turn the cameras, or give another --seed"
                )
            with temporary.open("w", encoding="utf-8") as file:
                _write(file, config, parts, summary)
        os.replace(temporary, target)
    except OSError as error:
        raise cannot_be_written(target, error) from None
    finally:
        remove_if_possible(temporary)
    return summary


class _Parts:
    """The file's long lists and objects while they are gathered, as text in temporary files."""

    def __init__(self, stack: contextlib.ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self.files: dict[str, IO[str]] = {}
        self.objects: set[str] = set()

    def extend(self, key: str, entries: Iterable[Any]) -> None:
        for entry in entries:
            self._append(key, _text(entry))

    def update(self, key: str, entries: dict[str, Any]) -> None:
        self.objects.add(key)
        for name, entry in entries.items():
            self._append(key, f"{_text(name)}:{_text(entry)}")

    def _append(self, key: str, text: str) -> None:
        file = self.files.get(key)
        if file is None:
            file = tempfile.TemporaryFile("w+", dir=self._folder)  # noqa: SIM115, the stack closes it
            self.files[key] = self._stack.enter_context(file)
        elif file.tell():
            file.write(",")
        file.write(text)


def _collect(config: SynthConfig, out: Path, parts: _Parts, mvor: MvorKeys | None) -> Summary:
    images = people = ignored = empty = 0
    rejected: Counter[str] = Counter()
    for index in range(config.num_scenes):
        scene = read_shard(out, index)
        scene["images"] = scene["images"][: config.num_images - images]
        kept = {image["id"] for image in scene["images"]}
        used = {image["camera_id"] for image in scene["images"]}
        scene["annotations"] = [label for label in scene["annotations"] if label["image_id"] in kept]
        scene["cameras"] = {name: camera for name, camera in scene["cameras"].items() if name in used}
        if mvor is not None:
            for key, entries in mvor.add_to(scene).items():
                parts.extend(key, entries)
        parts.update("cameras", scene["cameras"])
        parts.extend("images", scene["images"])
        parts.extend("annotations", scene["annotations"])
        images += len(kept)
        ignored += sum(label["iscrowd"] for label in scene["annotations"])
        people += sum(not label["iscrowd"] for label in scene["annotations"])
        empty += len(kept - {label["image_id"] for label in scene["annotations"]})
        rejected.update(scene["info"].get(REJECTED, {}))
    if mvor is not None:
        parts.update("cameras_info", mvor.cameras_info())
    return Summary(images, people, ignored, empty, dict(rejected))


def _write(file: IO[str], config: SynthConfig, parts: _Parts, summary: Summary) -> None:
    """The keys in the order and way of `annotations.write_annotations`."""
    info = {"synth": config.model_dump(mode="json"), REJECTED: summary.rejected}
    empty = ann.annotations_to_dict(ann.AnnotationSet((), (), info=info))
    extra = [key for key in parts.files if key not in empty]
    separator = "{"
    for key in ["info", *extra, "categories", "cameras", "images", "annotations"]:
        file.write(f"{separator}{_text(key)}:")
        if key in parts.files:
            left, right = "{}" if key in parts.objects else "[]"
            file.write(left)
            parts.files[key].seek(0)
            shutil.copyfileobj(parts.files[key], file, _COPY_BYTES)
            file.write(right)
        else:
            file.write(_text(empty[key]))
        separator = ","
    file.write("}")


def _text(entry: Any) -> str:
    return json.dumps(entry, separators=(",", ":"))
