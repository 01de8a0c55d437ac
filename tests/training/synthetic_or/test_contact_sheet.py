"""Contact sheets of data sets."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, write_annotations
from orpose_models.errors import AnnotationError, InputError
from training.synthetic_or.contact_sheet import contact_sheet, write_comparison, write_contact_sheet


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


def test_the_last_row_shows_one_image_with_labels_depth_and_instances(moments):
    image, labels, depth, instances = np.hsplit(contact_sheet(moments)[600:, :], 4)
    assert 0.5 < (image == labels).all(2).mean() < 1
    assert np.ptp(depth.max(2)) > 50
    assert (instances == 40).all(2).mean() > 0.2


def test_without_depth_there_are_images_and_labels_alone(sequence):
    sheet = contact_sheet(sequence)
    assert sheet.shape == (4 * 300, 4 * 400, 3)  # 15 images


def test_an_empty_set_is_named(tmp_path):
    write_annotations(tmp_path / "annotations.json", AnnotationSet((), ()))
    with pytest.raises(InputError, match=r"annotations\.json: has no images"):
        write_contact_sheet(tmp_path, tmp_path / "sheet.png")


def test_side_by_side_at_1x_and_12x(moments, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(frames / name), np.full((40, 53, 3), 90, np.uint8))  # at 12x already: shown once
    cv2.imwrite(str(tmp_path / "target.png"), np.full((30, 20, 3), 60, np.uint8))
    write_comparison(moments, [frames, tmp_path / "target.png"], tmp_path / "out.png")
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert 3 * 640 < picture.shape[1] < 3 * 680
    ours, real, target = (picture[:, k * picture.shape[1] // 3 :][:, :640] for k in range(3))
    assert (ours[800:1400] < 255).any()
    assert (real[30:260] == 90).all(2).mean() > 0.8 and (real[300:] == 255).all()
    assert (target[30:900] == 60).all(2).mean() > 0.9


def test_a_folder_to_compare_with_without_images(moments, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        write_comparison(moments, [tmp_path / "empty"], tmp_path / "out.png")
