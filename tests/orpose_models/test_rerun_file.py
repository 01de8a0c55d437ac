"""Recordings for Rerun, read back with its own reader."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from orpose_models.errors import InputError
from orpose_models.rerun_file import RerunFile, Shown, check_name
from orpose_models.runtime.types import FrameResult, Person

pytest.importorskip("rerun")


def person() -> Person:
    random = np.random.default_rng(0)
    keypoints = np.column_stack([random.uniform(100, 300, (17, 2)), np.ones(17)]).astype(np.float32)
    joints_mm = np.column_stack([random.uniform(-500, 500, (17, 3)), np.ones(17)]).astype(np.float32)
    return Person(0.9, np.array([120, 60, 240, 120], np.float32), keypoints, joints_mm, track_id=4)


def shown(index: int, image: np.ndarray, persons: tuple[Person, ...]) -> Shown:
    return Shown(index, (640, 480), 10**18 + index * 10**8, image, FrameResult(persons, (640, 480)), {"infer": 5.0})


def values(path: Path, entity: str, component: str) -> list:
    """A component's values in order of time."""
    from rerun.chunk import RrdReader

    found = []
    for chunk in RrdReader(path).stream().to_chunks():
        batch = chunk.to_record_batch()
        if chunk.entity_path == entity:
            for name in batch.schema.names:
                if name.endswith(component):
                    found += zip(batch.column("frame").to_pylist(), batch.column(name).to_pylist(), strict=True)
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def pictures(path: Path) -> Iterator[np.ndarray]:
    for blob in values(path, "/room/camera/image", "EncodedImage:blob"):
        yield cv2.imdecode(np.array(blob[0], np.uint8), cv2.IMREAD_COLOR)


def test_the_image_is_the_one_given_and_boxes_lie_on_it(tmp_path):
    """53 x 40 px of a 640 x 480 frame: boxes are in px of the picture."""
    image = np.random.default_rng(1).integers(0, 255, (40, 53, 3), np.uint8)
    with RerunFile(tmp_path / "a.rrd", None, has_stamps=True) as recording:
        recording.add(shown(0, image, (person(),)))
        recording.add(shown(1, image, ()))
    (first, second) = pictures(tmp_path / "a.rrd")
    np.testing.assert_array_equal(first, image)
    np.testing.assert_array_equal(second, image)
    half_sizes = values(tmp_path / "a.rrd", "/room/camera/image/persons/boxes", "Boxes2D:half_sizes")
    np.testing.assert_allclose(half_sizes[0], [[120 * 53 / 640, 60 * 53 / 640]], rtol=1e-5)
    assert half_sizes[1] == [], "nobody is left over from the frame before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.rrd"]


def test_an_error_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), RerunFile(tmp_path / "a.rrd", None, has_stamps=False):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def mount_disk(path: Path, size: str) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")


def test_a_disk_that_is_full_from_the_start_is_noticed(tmp_path):
    mount_disk(tmp_path, "64k")
    try:
        with pytest.raises(InputError, match="could not be written to the end; free the disk"):
            RerunFile(tmp_path / "a.rrd", None, has_stamps=True)
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_disk_that_fills_up_is_noticed(tmp_path):
    mount_disk(tmp_path, "36M")
    try:
        noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
        file = RerunFile(tmp_path / "a.rrd", None, has_stamps=True)
        with pytest.raises(InputError, match="could not be written to the end"), file as recording:
            for index in range(100):
                recording.add(shown(index, noise, (person(),)))
        assert 3 < index < 99
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize(("name", "expected"), [("a.txt", "ends in .rrd"), (".rrd", "ends in .rrd")])
def test_names(name, expected):
    with pytest.raises(InputError, match=expected):
        check_name(name)
