"""Exports are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orpose_models.files import cannot_be_written, temporary_path


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yields where to write instead of `path`: the same name in a temporary folder beside it.

    When the block ends well, all files of that folder are moved beside `path`, `path` itself last; else none is.

    Raises:
        InputError: The folder cannot be made or a file cannot be moved.
    """
    folder = temporary_path(path)
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_be_written(path, error) from None
    try:
        yield folder / path.name
        _move_all(folder, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_all(folder: Path, path: Path) -> None:
    written = sorted(folder.iterdir(), key=lambda file: file.name == path.name)
    try:
        for file in written:
            os.replace(file, path.with_name(file.name))
    except OSError as error:
        raise cannot_be_written(path, error) from None
