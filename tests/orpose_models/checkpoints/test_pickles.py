"""Model zoo pickles are read, and nothing in any pickle is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orpose_models.checkpoints.files import read_tensors
from orpose_models.checkpoints.pickles import read_pickled_arrays
from orpose_models.errors import ModelError


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_model_zoo_file(tmp_path: Path, protocol: int) -> None:
    model = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "big_endian": np.array([1.5], ">f4")}
    path = write(tmp_path / "a.pkl", {"model": model, "__author__": "somebody"}, protocol)
    read = read_pickled_arrays(path)
    assert torch.equal(read["weight"], torch.arange(6.0).reshape(2, 3))
    assert read["big_endian"].tolist() == [1.5]
    assert read_tensors(path, hint="")["weight"].shape == (2, 3)


class Runs:
    """Unpickling it as ever would run a command."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (os.system, r"posix\.system"),
        (exec, r"builtins\.exec"),
        (eval, r"builtins\.eval"),
        (getattr, r"builtins\.getattr"),
    ],
)
def test_nothing_is_run(tmp_path: Path, function: Any, wanted: str) -> None:
    canary = tmp_path / "canary"
    evil = Runs(function, f"touch {canary}") if function is os.system else Runs(function, f"open({str(canary)!r}, 'w')")
    path = write(tmp_path / "a.pkl", {"model": {"weight": np.ones(2), "x": evil}})
    with pytest.raises(ModelError, match=rf"a\.pkl: damaged, or .*it wants {wanted}, which is never run") as caught:
        read_tensors(path, hint="")
    assert "\n" not in str(caught.value)
    assert not canary.exists()


def test_nothing_is_run_in_a_torch_file_either(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "a.pth"
    torch.save({"weight": torch.ones(2), "x": Runs(os.system, f"touch {canary}")}, path)
    with pytest.raises(ModelError, match="holds Python objects, which are never unpickled"):
        read_tensors(path, hint="")
    assert not canary.exists()


def test_files_of_older_torch_that_are_cut_off(tmp_path: Path) -> None:
    """torchvision's published ones are of this form, of whose remains torch raises errors of many kinds."""
    path = tmp_path / "a.pth"
    torch.save({"a.weight": torch.ones(8, 8), "epoch": 3}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"a\.pth: "):
            read_tensors(path, hint="")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"weight": np.array([{}, "text"], object)}}, "weight is of object, not of numbers"),
        ({"model": {"weight": np.array(["text"])}}, "weight is of <U4, not of numbers"),
        ({"weight": Runs(__import__("_codecs").encode, "text", "rot13")}, "it wants to encode as 'rot13'"),
    ],
)
def test_other_things_than_numbers_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_pickled_arrays(write(tmp_path / "a.pkl", content))


def test_damaged_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pkl", {"model": {"weight": np.ones(100)}})
    whole = path.read_bytes()
    for length in (0, 1, 50, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"a\.pkl: damaged"):
            read_pickled_arrays(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_pickled_arrays(tmp_path / "none.pkl")
