"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from orpose_models.errors import InputError
from orpose_models.files import remove_temporaries, temporary_path, write_atomically


def test_writes_and_leaves_nothing_beside_it(tmp_path):
    write_atomically(tmp_path / "a", b"1")
    write_atomically(tmp_path / "a", b"2")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"2")]


def test_what_killed_processes_left_is_removed(tmp_path):
    temporary_path(tmp_path / "a").write_bytes(b"half")
    (tmp_path / "b").write_bytes(b"whole")
    remove_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_read_only_disk_refuses_the_removal_too(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(InputError, match=r"a: cannot be written \(Read-only file system\)"):
        write_atomically(tmp_path / "a", b"1")
