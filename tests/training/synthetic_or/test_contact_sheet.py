"""Contact sheets of data sets."""

from __future__ import annotations

import shutil

import cv2
import pytest

from orpose_models.errors import AnnotationError, InputError
from training.synthetic_or.contact_sheet import write_contact_sheet


@pytest.mark.parametrize("name", ["sheet.png", "deep/sheet.jpg"])
def test_a_sheet_has_four_columns(moments, tmp_path, name):
    write_contact_sheet(moments, tmp_path / name)
    assert cv2.imread(str(tmp_path / name)).shape == (3 * 300, 4 * 400, 3)  # 12 images


def test_other_suffixes_are_refused(moments, tmp_path):
    with pytest.raises(InputError, match=r"sheet\.bmp2: expected a file name that ends in \.png or \.jpg"):
        write_contact_sheet(moments, tmp_path / "sheet.bmp2")


def test_a_folder_that_cannot_be_made(moments, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"sheet\.png: cannot be written"):
        write_contact_sheet(moments, tmp_path / "file" / "sheet.png")


def test_no_data_set(tmp_path):
    with pytest.raises(AnnotationError, match=r"annotations\.json: cannot be read"):
        write_contact_sheet(tmp_path, tmp_path / "sheet.png")


def test_a_missing_image_is_named(moments, tmp_path):
    shutil.copy(moments / "annotations.json", tmp_path)
    with pytest.raises(InputError, match=r"images/0000000_0\.jpg: not a readable image"):
        write_contact_sheet(tmp_path, tmp_path / "sheet.png")
