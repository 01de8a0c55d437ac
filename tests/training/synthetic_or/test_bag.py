"""Bags of sequences, read back with rosbags and with the runtime's own reader."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from orpose_models.errors import ConfigError, InputError
from orpose_models.runtime.bags import BagImages
from training.synthetic_or.bag import bag_paths, write_bags
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate

TWO_SCENES = SynthConfig(images=8, views=2, size="64x64", sequence=0.2, seed=3)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags")
    labels = generate(TWO_SCENES, folder / "set", workers=1)
    return folder / "set", labels, write_bags(TWO_SCENES, folder / "set", labels, folder / "bag")


def test_every_scene_is_a_bag_with_both_cameras(recorded):
    dataset, labels, paths = recorded
    assert [path.name for path in paths] == ["scene0000000", "scene0000001"]
    for path in paths:
        with AnyReader([path], default_typestore=get_typestore(Stores.LATEST)) as reader:
            counts = {topic: info.msgcount for topic, info in reader.topics.items()}
            assert counts == {
                "/camera0/camera_info": 2, "/camera0/image_raw/compressed": 2,
                "/camera1/camera_info": 2, "/camera1/image_raw/compressed": 2,
            }  # fmt: skip
            for connection, recorded_ns, raw in reader.messages():
                message = reader.deserialize(raw, connection.msgtype)
                stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                assert stamp_ns == recorded_ns
                assert message.header.frame_id == connection.topic.split("/")[1] + "_optical_frame"
                if connection.topic.endswith("/compressed"):
                    (image,) = [i for i in labels.images if (i.topic, i.stamp_ns) == (connection.topic, stamp_ns)]
                    assert image.sequence == path.name
                    assert bytes(message.data) == (dataset / image.file_name).read_bytes()


def test_camera_info_is_the_calibration_in_ros_convention(recorded):
    _, labels, paths = recorded
    with AnyReader([paths[0]], default_typestore=get_typestore(Stores.LATEST)) as reader:
        infos = [c for c in reader.connections if c.topic == "/camera0/camera_info"]
        message = reader.deserialize(next(reader.messages(infos))[2], infos[0].msgtype)
    camera = labels.cameras["scene0000000_cam0"]
    assert (message.width, message.height, message.distortion_model) == (64, 64, "plumb_bob")
    # ROS counts pixels from the middle of the first one, the label file from the image's edge.
    np.testing.assert_allclose(message.k, [camera.fx, 0, camera.cx - 0.5, 0, camera.fy, camera.cy - 0.5, 0, 0, 1])
    np.testing.assert_allclose(message.d, camera.distortion)
    np.testing.assert_allclose(message.p.reshape(3, 4)[:, :3], message.k.reshape(3, 3))


def test_the_runtime_reads_it(recorded):
    dataset, labels, paths = recorded
    frames = list(BagImages(paths[1], "/camera1/image_raw/compressed"))
    images = [i for i in labels.images if i.camera_id == "scene0000001_cam1"]
    assert len(frames) == len(images) == 2
    np.testing.assert_array_equal(frames[0].image, cv2.imread(str(dataset / images[0].file_name)))


def test_one_scene_is_the_named_folder_itself(tmp_path):
    config = TWO_SCENES.model_copy(update={"images": 2, "views": 1})
    assert bag_paths(config, tmp_path / "bag") == [tmp_path / "bag"]


def test_an_existing_bag_is_not_overwritten(recorded):
    dataset, labels, paths = recorded
    with pytest.raises(InputError, match="exists already"):
        write_bags(TWO_SCENES, dataset, labels, paths[0].parent)


def test_single_moments_are_no_recording(tmp_path):
    with pytest.raises(ConfigError, match="give --sequence"):
        bag_paths(SynthConfig(), tmp_path / "bag")


def test_a_missing_image_is_named(recorded, tmp_path):
    _, labels, _ = recorded
    with pytest.raises(InputError, match=r"images/0000000_0_00000\.jpg: cannot be read"):
        write_bags(TWO_SCENES, tmp_path, labels, tmp_path / "bag")
