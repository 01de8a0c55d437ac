"""Images of the same moments out of bags, folders and label files."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from orpose_models.annotations import AnnotationSet, LabelledImage, write_annotations
from orpose_models.bags import compressed_message, write_raw_bag
from orpose_models.errors import AnnotationError, CalibrationError, InputError
from orpose_models.multiview.shots import open_recording, with_lenses
from orpose_models.runtime import bags
from orpose_models.runtime.bags import RawMessage

MS = 1_000_000


def grey(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


def camera_info(topic: str) -> RawMessage:
    """f = 50 px, the middle of a 64x48 image; ROS counts pixels from the middle of the first."""
    types = (store := get_typestore(Stores.LATEST)).types
    stamp = types["builtin_interfaces/msg/Time"](sec=1, nanosec=0)
    message = types["sensor_msgs/msg/CameraInfo"](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera"), width=64, height=48,
        distortion_model="plumb_bob", d=np.zeros(5), k=np.array([50, 0, 31.5, 0, 50, 23.5, 0, 0, 1.0]),
        r=np.eye(3).ravel(), p=np.zeros(12), binning_x=0, binning_y=0,
        roi=types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )  # fmt: skip
    return RawMessage(topic, message.__msgtype__, 10**9, bytes(store.serialize_cdr(message, message.__msgtype__)))


@pytest.fixture
def bag(tmp_path):
    """Frame i of both cameras has value i * 10; the right one is 5 ms late and misses the third."""
    messages = [camera_info("/left/camera_info"), camera_info("/right/camera_info")]
    for index in range(6):
        for name, late_ms in (("left", 0), ("right", 5)):
            if (name, index) != ("right", 2):
                stamp_ns = 10**9 + (100 * index + late_ms) * MS
                topic = f"/{name}/image_raw/compressed"
                messages.append(compressed_message(grey(index * 10), topic, stamp_ns, "png"))
    write_raw_bag(tmp_path / "bag", messages)
    return tmp_path / "bag"


def test_a_bags_moments_and_lenses(bag):
    recording = open_recording(bag, 100, 0.02)
    values = [{name: int(shot.read()[0, 0, 0]) for name, shot in moment.items()} for moment in recording.moments]
    assert values == [{"left": v, "right": v} for v in (0, 10, 30, 40, 50)]
    cameras = with_lenses(recording, {}, {"left": (64, 48), "right": (64, 48)})
    assert (cameras["right"].fx, cameras["right"].cx, cameras["right"].cy) == (50, 32, 24)


def test_moments_are_chosen_evenly(bag):
    values = [int(moment["left"].read()[0, 0, 0]) for moment in open_recording(bag, 3, 0.02).moments]
    assert values == [0, 30, 50]


def test_only_chosen_images_of_a_bag_are_decoded(bag, monkeypatch):
    decoded: list[int] = []
    decode = bags.bgr8_from_message
    monkeypatch.setattr(bags, "bgr8_from_message", lambda message: decoded.append(1) or decode(message))
    assert len(open_recording(bag, 2, 0.02).moments) == 2
    assert len(decoded) == 4


def test_a_bag_without_camera_info_and_with_two_topics_of_one_camera(tmp_path):
    """Rectified images beside the raw ones are no second camera."""
    topics = ("/left/image_raw/compressed", "/left/image_rect/compressed", "/right/image_color/compressed")
    write_raw_bag(tmp_path / "bag", [compressed_message(grey(0), topic, 10**9, "png") for topic in topics])
    recording = open_recording(tmp_path / "bag", 100, 0.02)
    assert [list(moment) for moment in recording.moments] == [["left", "right"]]
    assert recording.cameras == {}


def test_a_truncated_bag_is_an_input_error(bag):
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="truncated or damaged"):
        open_recording(bag, 100, 0.02)


def test_folders_of_the_same_file_names(tmp_path):
    for name, numbers in (("left", (1, 2, 3)), ("right", (2, 3))):
        (tmp_path / name).mkdir()
        for number in numbers:
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), grey(number))
    recording = open_recording(tmp_path, 100, 0.02)
    assert [int(moment["right"].read()[0, 0, 0]) for moment in recording.moments] == [2, 3]
    with pytest.raises(CalibrationError, match="camera 'left': its lens is not known"):
        with_lenses(recording, {}, {"left": (64, 48)})


def test_label_files_with_depth(tmp_path, room):
    cv2.imwrite(str(tmp_path / "depth.png"), np.array([[0, 1500]], np.uint16))
    images = tuple(
        LabelledImage(i, f"{i}.png", 640, 480, f"cam{i}", "s", 0, depth_file_name="depth.png") for i in (1, 2)
    )
    write_annotations(tmp_path / "a.json", AnnotationSet(images, (), room.cameras))
    recording = open_recording(tmp_path / "a.json", 100, 0.02)
    (moment,) = recording.moments
    assert [shot.image_id for shot in moment.values()] == [1, 2]
    np.testing.assert_array_equal(moment["cam1"].depth_m(), [[np.nan, 1.5]])
    with pytest.raises(InputError, match=r"1.png: not an image"):
        moment["cam1"].read()


def test_pictures_in_a_folder_beside_the_label_file_and_moments_by_stamp(tmp_path, room):
    (tmp_path / "images").mkdir()
    images = []
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), grey(number))
        images.append(LabelledImage(number, f"{number}.png", 64, 48, f"cam{number % 2}", "s", stamp_ns=number // 2))
    write_annotations(tmp_path / "a.json", AnnotationSet(tuple(images), (), room.cameras))
    moments = open_recording(tmp_path / "a.json", 100, 0.02).moments
    assert [[int(shot.read()[0, 0, 0]) for shot in moment.values()] for moment in moments] == [[0, 1], [2, 3]]
    write_annotations(
        tmp_path / "a.json", AnnotationSet(tuple(replace(i, stamp_ns=None) for i in images), (), room.cameras)
    )
    with pytest.raises(AnnotationError, match=r"a.json: image 0 \(0.png\): frame_index and stamp_ns: missing"):
        open_recording(tmp_path / "a.json", 100, 0.02)


def test_several_sequences_have_several_calibrations(tmp_path, room):
    images = tuple(LabelledImage(i, "x.png", 640, 480, f"cam{i % 2}", f"s{i // 2}", 0) for i in range(4))
    write_annotations(tmp_path / "a.json", AnnotationSet(images, (), room.cameras))
    with pytest.raises(InputError, match="holds several sequences"):
        open_recording(tmp_path / "a.json", 100, 0.02)


def test_what_is_no_recording(tmp_path):
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(InputError, match="expected a bag"):
        open_recording(tmp_path / "x.txt", 100, 0.02)
