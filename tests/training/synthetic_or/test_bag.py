"""Bags of sequences, read back with rosbags and with the runtime's own reader."""

from __future__ import annotations

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from orpose_models.annotations import Camera, read_annotations
from orpose_models.errors import ConfigError, InputError
from orpose_models.runtime.bags import BagImages
from orpose_models.runtime.sources import open_source
from training.synthetic_or.bag import _camera_info, _header, bag_paths, write_bags
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate

TWO_SCENES = SynthConfig(images=8, views=2, size="64x64", sequence=0.2, seed=3, depth=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags")
    generate(TWO_SCENES, folder / "set", workers=1)
    labels = read_annotations(folder / "set" / "annotations.json")
    return folder / "set", labels, write_bags(TWO_SCENES, folder / "set", labels, folder / "bag")


def test_every_scene_is_a_bag_with_both_cameras(recorded):
    dataset, labels, paths = recorded
    assert [path.name for path in paths] == ["scene0000000", "scene0000001"]
    for path in paths:
        with AnyReader([path], default_typestore=get_typestore(Stores.LATEST)) as reader:
            counts = {topic: info.msgcount for topic, info in reader.topics.items()}
            kinds = ("camera_info", "image_raw/compressed", "depth/camera_info", "depth/image_raw")
            images = {f"/camera{k}/{kind}": 2 for k in (0, 1) for kind in kinds}
            assert counts == {**images, "/tf_static": 1}
            for connection, recorded_ns, raw in reader.messages():
                if connection.topic == "/tf_static":
                    continue
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


def test_depth_is_that_of_the_files_in_millimetres(recorded):
    dataset, labels, paths = recorded
    with AnyReader([paths[1]], default_typestore=get_typestore(Stores.LATEST)) as reader:
        connections = [c for c in reader.connections if c.topic == "/camera0/depth/image_raw"]
        for connection, stamp_ns, raw in reader.messages(connections):
            message = reader.deserialize(raw, connection.msgtype)
            assert (message.encoding, message.is_bigendian, message.step) == ("16UC1", 0, 128)
            (image,) = [
                i for i in labels.images if (i.topic, i.stamp_ns) == ("/camera0/image_raw/compressed", stamp_ns)
            ]
            depth_mm = cv2.imread(str(dataset / image.depth_file_name), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(message.data.view("<u2").reshape(64, 64), depth_mm)
            assert depth_mm.max() > 1000


def test_camera_poses_are_latched_in_the_room_frame(recorded):
    _, labels, paths = recorded
    with AnyReader([paths[0]], default_typestore=get_typestore(Stores.LATEST)) as reader:
        (connection,) = [c for c in reader.connections if c.topic == "/tf_static"]
        assert connection.ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"
        ((_, stamp_ns, raw),) = reader.messages([connection])
        transforms = reader.deserialize(raw, connection.msgtype).transforms
    assert stamp_ns == labels.images[0].stamp_ns
    assert [t.child_frame_id for t in transforms] == ["camera0_optical_frame", "camera1_optical_frame"]
    for number, transform in enumerate(transforms):
        assert transform.header.frame_id == "room"
        pose = labels.cameras[f"scene0000000_cam{number}"].room_from_camera
        p, q = transform.transform.translation, transform.transform.rotation
        np.testing.assert_allclose([p.x, p.y, p.z], pose[:3, 3])
        np.testing.assert_allclose(Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix(), pose[:3, :3], atol=1e-9)


def test_one_camera_with_depth_needs_no_topic(recorded, tmp_path):
    config = TWO_SCENES.model_copy(update={"images": 2, "views": 1})
    generate(config, tmp_path / "set", workers=1)
    labels = read_annotations(tmp_path / "set" / "annotations.json")
    (path,) = write_bags(config, tmp_path / "set", labels, tmp_path / "bag")
    assert open_source(path).topic == "/camera/image_raw/compressed"
    assert len(open_source(path)) == 2


def test_fisheye_lenses_keep_their_model_and_four_coefficients():
    camera = Camera("c", "equidistant", (640, 640), 200.0, 201.0, 320.0, 321.0, (0.1, 0.01, 0.0, 0.0), np.eye(4))
    message = _camera_info(_header(5, "c_optical_frame"), camera)
    assert message.distortion_model == "equidistant"
    np.testing.assert_allclose(message.d, [0.1, 0.01, 0.0, 0.0])


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


def test_a_bag_in_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: cannot be written \(not in a folder\)"):
        bag_paths(TWO_SCENES, tmp_path / "file")


def test_a_bag_that_cannot_be_written(recorded, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    dataset, labels, _ = recorded
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\); choose another --bag"):
        write_bags(TWO_SCENES, dataset, labels, tmp_path / "bag")


def test_single_moments_are_no_recording(tmp_path):
    with pytest.raises(ConfigError, match="give --sequence"):
        bag_paths(SynthConfig(), tmp_path / "bag")


def test_a_missing_image_is_named(recorded, tmp_path):
    _, labels, _ = recorded
    with pytest.raises(InputError, match=r"images/0000000_0_00000\.jpg: cannot be read"):
        write_bags(TWO_SCENES, tmp_path, labels, tmp_path / "bag")
