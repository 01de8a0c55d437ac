"""SynthOR: its splits, the options that leave a split what it is, and the recorded checksum."""

from __future__ import annotations

import shutil
from itertools import combinations

import numpy as np
import pytest

from orpose.main import main
from orpose_models.annotations import read_annotations
from orpose_models.errors import ConfigError, InputError
from orpose_models.settings import read_yaml_mapping
from training.synthetic_or import benchmark
from training.synthetic_or.benchmark import (
    CHECKED_SCENES,
    CHECKSUM_PATH,
    check_split,
    first_scenes,
    same,
    scene_sums,
    split_config,
    split_names,
)
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.generate import generate
from training.synthetic_or.views import scene_generator

SPLITS = [
    "everyday_train",
    "everyday_ceiling",
    "everyday_high",
    "everyday_validation",
    "everyday_test",
    "or_unlabelled",
    "or_validation",
    "or_test",
]


def test_splits_share_no_scene():
    assert split_names() == SPLITS
    configs = [split_config(split) for split in SPLITS]
    for a, b in combinations(configs, 2):
        assert a.seed != b.seed
        drawn = [scene_generator(config, 0).random(4) for config in (a, b)]
        assert not np.isclose(*drawn).any()


def test_the_test_split_is_as_large_as_mvor():
    config = split_config("or_test")
    assert (config.num_scenes, config.images, config.image_size) == (732, 2196, (640, 480))


def test_options_that_leave_a_split_what_it_is():
    config = split_config("or_test", {"images": 12, "size": "320x240"})
    assert config == split_config("or_test").model_copy(update={"images": 12, "size": "320x240"})


@pytest.mark.parametrize("options", [{"seed": 1}, {"views": 1}, {"domain": "everyday"}, {"cameras": "mvor"}])
def test_other_options_are_refused(options):
    with pytest.raises(ConfigError, match=rf"{next(iter(options))}: SynthOR's or_test has its own"):
        split_config("or_test", options)


def test_an_unknown_split_is_refused():
    with pytest.raises(ConfigError, match="benchmark: got 'or_tset': expected one of everyday_train"):
        split_config("or_tset")


def test_every_split_has_a_checksum():
    recorded = read_yaml_mapping(CHECKSUM_PATH)
    assert {split: len(rows) for split, rows in recorded.items()} == dict.fromkeys(SPLITS, CHECKED_SCENES)


@pytest.mark.parametrize("split", SPLITS)
def test_the_first_scene_is_the_recorded_one(split):
    """Fails after a change of what is drawn: `python -m training.synthetic_or.benchmark` records it anew."""
    (sums,) = first_scenes(split, 1, workers=1)
    assert same(sums, read_yaml_mapping(CHECKSUM_PATH)[split][0]), sums


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("small")
    generate(SynthConfig(images=6, views=3, size="96x72", seed=3, depth=False), out, workers=1)
    return out


def test_the_checksum_sees_what_moves_and_not_what_rounds(small):
    labels = read_annotations(small / "annotations.json")
    before = scene_sums(labels, range(2))
    assert all(sums[0] == 3 for sums in before.values()) and before[0][2:] != before[1][2:]
    person = next(p for p in labels.persons if not p.is_crowd)
    scene = int(next(i for i in labels.images if i.image_id == person.image_id).sequence.removeprefix("scene"))
    for change_mm, agrees in ((1e-4, True), (30.0, False)):
        person.keypoints_3d.flags.writeable = True
        person.keypoints_3d[:, 0] += change_mm
        assert same(scene_sums(labels, [scene])[scene], before[scene]) is agrees
    assert not same([3, 1, 0, 0, 0], [3, 2, 0, 0, 0])
    assert same([3, 1, 0, 5, 0], [3, 1, 1, 4, -1])


def test_geometry_does_not_depend_on_pixels(small, tmp_path):
    """What shading draws at another size moves no camera and nobody: the checksum is one of geometry."""
    generate(SynthConfig(images=6, views=3, size="160x120", seed=3, depth=False), tmp_path, workers=1)
    labels = [read_annotations(folder / "annotations.json") for folder in (small, tmp_path)]
    poses = [{name: camera.room_from_camera for name, camera in part.cameras.items()} for part in labels]
    assert poses[0].keys() == poses[1].keys()
    for name, pose in poses[0].items():
        np.testing.assert_array_equal(pose, poses[1][name])
    joints = [{(p.image_id, p.person_id): p.keypoints_3d[:, :3] for p in part.persons} for part in labels]
    both = joints[0].keys() & joints[1].keys()
    assert len(both) > 3
    assert all(np.array_equal(joints[0][key], joints[1][key]) for key in both)


def test_a_rendered_split_is_compared(tmp_path, capsys, monkeypatch, small):
    """The command's last line; then a folder that holds something else."""
    monkeypatch.setattr(benchmark, "SPLITS_PATH", tmp_path / "splits.yaml")
    monkeypatch.setattr(benchmark, "CHECKSUM_PATH", tmp_path / "sums.yaml")
    benchmark.SPLITS_PATH.write_text("tiny: {images: 6, views: 3, size: 96x72, seed: 3}\n")
    sums = scene_sums(read_annotations(small / "annotations.json"), range(2))
    benchmark.CHECKSUM_PATH.write_text(f"tiny: [{sums[0]}, {sums[1]}]\n")
    arguments = ["synth", "--benchmark", "tiny", "--no-depth", "--workers", "1", "--out"]
    assert main([*arguments, str(tmp_path / "all")]) == 0
    assert "SynthOR tiny: the first 2 scenes agree" in capsys.readouterr().out
    assert main([*arguments, str(tmp_path / "one"), "--images", "4"]) == 0
    assert "SynthOR tiny: the first 1 scenes agree" in capsys.readouterr().out

    benchmark.CHECKSUM_PATH.write_text(f"tiny: [{sums[1]}, {sums[1]}]\n")
    shutil.copytree(small, tmp_path / "other")
    with pytest.raises(InputError, match=r"not SynthOR's tiny: scenes 0 of the first 2 differ from sums\.yaml"):
        check_split("tiny", split_config("tiny"), tmp_path / "other")
    assert check_split("tiny", split_config("tiny", {"size": "64x64"}), tmp_path / "other") == 0
