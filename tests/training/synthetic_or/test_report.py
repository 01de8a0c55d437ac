"""The statistics page of a data set, read back; and the measures behind it against hand-computed numbers."""

from __future__ import annotations

import html.parser
import json
import re
import shutil

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, PersonLabel, read_annotations, write_annotations
from orpose_models.errors import AnnotationError, InputError
from training.synthetic_or.look import MEASURES, REAL, measure, measure_all, measure_real, percentiles
from training.synthetic_or.report import _field_of_view_deg, _visible_share, write_report


class Checked(html.parser.HTMLParser):
    """Fails where an element is closed that is not open; collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for key, value in attributes if key in ("src", "href")]
        if tag not in ("meta", "img", "rect", "line", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "line"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_counts_right(moments, tmp_path):
    write_report(moments, tmp_path / "deep" / "report.html")
    text = (tmp_path / "deep" / "report.html").read_text()
    checked = Checked()
    checked.feed(text)
    assert checked.open == []
    assert checked.addresses and all(address.startswith("data:image/jpeg;base64,") for address in checked.addresses)
    labels = read_annotations(moments / "annotations.json")
    tiles = dict((name, int(number)) for number, name in re.findall(r"<b>(\d+)</b>([^<]*)</div>", text))
    assert tiles["images"] == 12 and tiles["scenes"] == 6
    assert tiles["people labelled"] == sum(not p.is_crowd for p in labels.persons)
    for words in ("covered", "left_wrist", "height above the floor, m", "ORPose-Color", "surgeon"):
        assert words in text


def test_the_same_set_gives_the_same_page(moments, tmp_path):
    for name in ("a.html", "b.html"):
        write_report(moments, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_own_real_frames_replace_the_published_statistics(moments, tmp_path):
    frames = tmp_path / "my_room"
    frames.mkdir()
    for number in range(3):
        cv2.imwrite(str(frames / f"{number}.png"), np.full((480, 640, 3), 250, np.uint8))
    write_report(moments, tmp_path / "report.html", real=frames)
    text = (tmp_path / "report.html").read_text()
    assert "3 frames of my_room" in text and "ORPose-Color" not in text
    assert "too low" in text  # no image of an operating room is nothing but white


@pytest.mark.parametrize(("entries", "message"), [
    ({}, r"annotations\.json: images: expected a list"),
    ({"images": [], "annotations": []}, r"annotations\.json: has no images"),
])  # fmt: skip
def test_a_set_without_images(tmp_path, entries, message):
    (tmp_path / "annotations.json").write_text(json.dumps(entries))
    with pytest.raises((AnnotationError, InputError), match=message):
        write_report(tmp_path, tmp_path / "report.html")


def test_no_data_set(tmp_path):
    with pytest.raises(AnnotationError, match=r"annotations\.json: cannot be read"):
        write_report(tmp_path, tmp_path / "report.html")


def test_a_missing_image_is_named(moments, tmp_path):
    shutil.copy(moments / "annotations.json", tmp_path)
    with pytest.raises(InputError, match=r"images/0000000_0\.jpg: missing or not a readable image"):
        write_report(tmp_path, tmp_path / "report.html")


def test_a_folder_that_cannot_be_made(moments, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"report\.html: cannot be written"):
        write_report(moments, tmp_path / "file" / "report.html")


def test_real_frames_that_are_none(moments, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images"):
        write_report(moments, tmp_path / "report.html", real=tmp_path / "empty")
    (tmp_path / "empty" / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a\.png"):
        measure_real(tmp_path / "empty")


def test_images_with_nobody_are_reported_too(moments, tmp_path):
    labels = read_annotations(moments / "annotations.json")
    (tmp_path / "images").mkdir()
    shutil.copy(moments / labels.images[0].file_name, tmp_path / "images")
    write_annotations(tmp_path / "annotations.json", AnnotationSet(labels.images[:1], ()))
    write_report(tmp_path, tmp_path / "report.html")
    assert "<b>1</b>images with nobody" in (tmp_path / "report.html").read_text()


def test_measures_of_a_striped_image():
    """Columns 0 and 200 in turn, at 12x already: what is measured can be told by hand."""
    image = np.zeros((40, 52, 3), np.uint8)
    image[:, ::2] = 200
    brightness, contrast, colour, sharpness, dark, bright = measure(image)
    assert (brightness, contrast, colour) == pytest.approx((100, 100, 0))
    assert (sharpness, dark, bright) == pytest.approx((200, 50, 0))
    assert measure(np.full((40, 53, 3), (250, 240, 235), np.uint8))[[2, 5]] == pytest.approx((15, 100))


def test_percentiles_are_taken_over_images():
    levels = percentiles(measure_all(np.full((40, 53, 3), level, np.uint8) for level in range(0, 101, 5)))
    assert levels["brightness"] == pytest.approx((5, 25, 50, 75, 95))
    assert set(REAL) == set(MEASURES) == set(levels)
    assert all(sorted(values) == list(values) and len(values) == 5 for values in REAL.values())


def test_visible_share_is_of_what_lies_in_the_image():
    person = PersonLabel(1, 1, np.array([0.0, 10, 20, 30]), bbox_amodal=np.array([-20.0, 10, 40, 60]))
    assert _visible_share(person, (100, 70)) == pytest.approx(20 * 30 / (20 * 60))


def test_fields_of_view(moments):
    camera = next(iter(read_annotations(moments / "annotations.json").cameras.values()))
    from dataclasses import replace

    wide = replace(camera, model="plumb_bob", fx=160.0)
    assert _field_of_view_deg(wide) == pytest.approx(90.0)
    assert _field_of_view_deg(replace(wide, model="equidistant")) == pytest.approx(np.degrees(2.0))
