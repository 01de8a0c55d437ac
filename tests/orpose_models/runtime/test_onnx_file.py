"""The metadata of an ONNX file, read without the onnx package; compared with what that package reads."""

from __future__ import annotations

import numpy as np
import pytest

from orpose_models.errors import ModelError
from orpose_models.runtime.models import WEIGHTS_DIR
from orpose_models.runtime.onnx_file import read_metadata

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("path", sorted(WEIGHTS_DIR.glob("*.onnx")), ids=lambda path: path.name)
def test_shipped_models(path):
    expected = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert read_metadata(path) == expected
    assert expected["orpose.format"]


def test_no_metadata_and_long_values(make_fake_model, tmp_path):
    model = onnx.load(make_fake_model())
    onnx.helper.set_model_props(model, {"long": "ä" * 1000, "empty": ""})
    onnx.save(model, tmp_path / "a.onnx")
    assert read_metadata(tmp_path / "a.onnx") == {"long": "ä" * 1000, "empty": ""}
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "b.onnx")
    assert read_metadata(tmp_path / "b.onnx") == {}


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_a_file_that_is_cut_off(fake_model, tmp_path, size):
    path = tmp_path / "cut.onnx"
    path.write_bytes(fake_model.read_bytes()[:-size])
    with pytest.raises(ModelError, match=r"cut\.onnx: not a whole ONNX file"):
        read_metadata(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"PK\x03\x04 a zip archive",
        b"\xff" * 40,
        np.random.default_rng(1).integers(0, 256, 5000, np.uint8).tobytes(),
        bytes([14 << 3 | 2, 3, 0x18, 1, 1]),  # metadata that is no pair of texts
        bytes([14 << 3 | 2, 4, 0x0A, 2, 0xFF, 0xFE]),  # a key that is no text
    ],
)
def test_other_files(tmp_path, content):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a whole ONNX file"):
        read_metadata(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_metadata(tmp_path)
