"""A labelling run as a whole, with our own network: files, resumption, workers, and training from what it wrote."""

from __future__ import annotations

import errno
import json
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from orpose_models.annotations import AnnotationSet, PersonLabel, read_annotations
from orpose_models.bulk import map_items
from orpose_models.errors import ConfigError, InputError, ModelError, OrposeError
from training.data.augment_config import NO_AUGMENTATION
from training.data.dataset import Draw, LabelConfig, SourceConfig, TrainingSet, read_items
from training.teacher import labelling
from training.teacher.config import LabellingConfig
from training.teacher.contact_sheet import write_contact_sheet
from training.teacher.frames import FrameRef, listed_frames, read_listing
from training.teacher.labelling import label_images, prepare

BATCH = LabellingConfig(batch=2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Two recordings of five and three images; one of the images is no image."""
    folder = tmp_path_factory.mktemp("pictures") / "or"
    rng = np.random.default_rng(0)
    for name, count in (("a", 5), ("b", 3)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            coarse = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
            image = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / name / f"{number}.png"), image)
    (folder / "a" / "3.png").write_bytes(b"\x89PNG broken")
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that spin while they wait make tiny images take a hundred times as long on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelling, "usable_cpus", lambda: 1)
        yield


@pytest.fixture(scope="module")
def teacher(request, weights):
    return request.getfixturevalue("make_teacher_config")()


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "shards").iterdir())}


@pytest.fixture(scope="module")
def run(pictures, teacher) -> Path:
    """A finished run."""
    out = pictures.parent / "run"
    summary = label_images([pictures], teacher, BATCH, out)
    assert (summary.images, summary.validation_images, summary.batches) == (7, 0, 4)
    assert summary.people > 7 and 0 < summary.hard_joints < 17 * summary.people
    ((name, reason),) = summary.unreadable
    assert name == "../or/a/3.png" and reason.startswith("not an image")
    return out


def test_the_label_file(run, weights):
    labels = read_annotations(run / "annotations.json")
    assert [image.file_name for image in labels.images][2:5] == ["../or/a/2.png", "../or/a/4.png", "../or/b/0.png"]
    assert [image.image_id for image in labels.images] == [0, 1, 2, 4, 5, 6, 7]
    assert {image.sequence for image in labels.images} == {"or/a", "or/b"}
    assert len({person.annotation_id for person in labels.persons}) == len(labels.persons)
    for person in labels.persons:
        assert person.keypoints is not None and person.keypoints_soft is not None
        assert person.keypoints_3d_soft is not None and person.keypoints_3d_hard is not None
        hard = person.keypoints_soft[:, 2] >= 0.3
        far = np.abs(person.keypoints_soft[:, 2] - 0.3) > 0.001  # confidences are rounded to 0.001
        assert ((person.keypoints[:, 2] == 2) == hard)[far].all()
    info = labels.info["pseudo_labels"]
    assert info["teacher"]["name"] == "test" and len(info["weights"][str(weights)]) == 64
    assert (run / "unreadable.txt").read_text().startswith("../or/a/3.png: not an image")


def test_training_reads_it(run):
    items = read_items([SourceConfig(annotations=run)])
    sample = TrainingSet(items, NO_AUGMENTATION, LabelConfig(), seed=0)
    item = sample[Draw(0, 0, (128, 96))]
    image, targets = item.image, item.targets
    person = items[0].persons[0]
    assert tuple(image.shape) == (3, 96, 128) and len(targets["boxes"]) == len(items[0].persons)
    np.testing.assert_allclose(targets["keypoints_soft"][0], person.keypoints_soft, rtol=1e-5)
    np.testing.assert_allclose(targets["keypoints_hard"][0], person.keypoints, rtol=1e-5)
    np.testing.assert_allclose(targets["keypoints_3d_soft"][0], person.keypoints_3d_soft, rtol=1e-5)
    np.testing.assert_allclose(targets["keypoints_3d_hard"][0], person.keypoints_3d_hard, rtol=1e-5)


def test_labels_that_are_not_finite_are_never_written(pictures, tmp_path):
    """As a 2D network with damaged weights gives them; the label file could not be read again."""
    frames = (FrameRef(0, str(pictures / "a/0.png"), "a", 0),)

    def label(images, ids):
        return [[PersonLabel(1, ids[0], np.ones(4), keypoints_soft=np.full((17, 3), np.nan))]]

    prepare(tmp_path, {})
    with pytest.raises(ModelError, match=r"a/0\.png: the teacher's labels hold a number that is not finite"):
        labelling._write_shard(tmp_path, 0, frames, BATCH, label)
    assert not list((tmp_path / "shards").iterdir())


def test_a_contact_sheet(run, tmp_path):
    write_contact_sheet(run, tmp_path / "new/sheet.png", 4, 1.0)
    sheet = cv2.imread(str(tmp_path / "new/sheet.png"))
    assert sheet.shape[1] > 1500 and sheet.std() > 20


def test_a_stopped_run_goes_on_to_the_same_bytes(pictures, teacher, run, monkeypatch):
    out = pictures.parent / "stopped"
    done = []

    def stop_after_two(items, make_worker, **_):
        work = make_worker()
        for item in items[:2]:
            yield work(item)
        (out / "shards" / f".{items[2]:07d}.json.somewhere-1.part").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(labelling, "map_items", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        label_images([pictures], teacher, BATCH, out)
    assert not (out / "annotations.json").exists()

    def count(items, make_worker, **options):
        done.extend(items)
        return map_items(items, make_worker, **options)

    monkeypatch.setattr(labelling, "map_items", count)
    label_images([pictures], teacher, BATCH, out)
    assert done == [2, 3]  # nothing that was finished is done again
    assert shards(out) == shards(run)
    assert (out / "annotations.json").read_bytes() == (run / "annotations.json").read_bytes()
    assert label_images([pictures], teacher, BATCH, out).images == 7 and done == [2, 3]


def test_two_processes_give_the_same_bytes(pictures, teacher, run):
    out = pictures.parent / "two"
    label_images([pictures], teacher, BATCH, out, workers=2)
    assert shards(out) == shards(run)
    assert (out / "annotations.json").read_bytes() == (run / "annotations.json").read_bytes()


def test_recordings_kept_aside_are_in_a_file_of_their_own(pictures, teacher, run, tmp_path):
    before = (run / "annotations.json").read_bytes()
    summary = label_images([pictures], teacher, LabellingConfig(batch=2, split=0.3), run)
    training, validation = read_annotations(run / "annotations.json"), read_annotations(run / "validation.json")
    assert (summary.images, summary.validation_images) == (len(training.images), len(validation.images))
    assert {i.sequence for i in training.images}.isdisjoint({i.sequence for i in validation.images})
    assert len(training.images) + len(validation.images) == 7
    label_images([pictures], teacher, BATCH, run)
    assert (run / "annotations.json").read_bytes() == before and not (run / "validation.json").exists()


@pytest.mark.parametrize(("config", "changes", "name"), [
    (LabellingConfig(batch=3), {}, "labelling.batch (2, now 3)"),
    (LabellingConfig(batch=2, downsample=12), {}, "labelling.downsample (1.0, now 12.0)"),
    (BATCH, {"joint_threshold": 0.9}, "teacher.joint_threshold (0.3, now 0.9)"),
    (BATCH, {"keypoint_views": {"flip": True}}, "teacher.keypoint_views.flip (False, now True)"),
])  # fmt: skip
def test_other_settings_are_refused(pictures, run, make_teacher_config, config, changes, name):
    with pytest.raises(ConfigError, match=re.escape(f"begun with other settings: {name}; use the same")):
        label_images([pictures], make_teacher_config(**changes), config, run)


def test_other_settings_are_fine_before_the_first_batch(pictures, run, make_teacher_config, tmp_path):
    out, begun = tmp_path / "out", LabellingConfig(every=2)
    prepare(out, {"labelling": begun.model_dump(mode="json")})
    assert len(listed_frames([pictures], out, begun).frames) > 1
    assert label_images([pictures / "b"], make_teacher_config(), LabellingConfig(every=3), out).images == 1


def test_weights_that_are_not_there_are_missed_before_anything_is_decoded(pictures, make_teacher_config, tmp_path):
    hrnet = {"kind": "hrnet", "weights": tmp_path / "hrnet.pth"}
    orpose = {"kind": "orpose", "weights": make_teacher_config().boxes.weights, "statistics": tmp_path / "h36.json"}
    for changes, told in (
        ({"keypoints": hrnet}, r"hrnet\.pth: no such weight file; `keypoints.weights` takes: pose_hrnet_w48_.* HRNet"),
        ({"sspcm": {"keypoints": hrnet}, "keypoint_views": {"flip": True}}, "`sspcm.keypoints.weights` takes: pose_"),
        ({"lifting": orpose}, r"h36\.json: no such weight file; `lifting.statistics` takes: Human3.6M's h36stats.json"),
    ):
        with pytest.raises(ModelError, match=told):
            label_images([pictures], make_teacher_config(**changes), BATCH, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("boxes", "told"),
    [
        ({"kind": "network", "weights": "junk.safetensors"}, "not a readable safetensors file"),
        ({"kind": "detectron2", "weights": "junk.safetensors"}, "detectron2: not installed"),
    ],
)
def test_a_teacher_that_cannot_be_loaded_is_told_before_anything_is_decoded(
    pictures, make_teacher_config, tmp_path, monkeypatch, boxes, told
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "detectron2", None)
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(OrposeError, match=told):
        label_images([pictures], make_teacher_config(boxes=boxes), BATCH, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_teacher_sees_what_privacy_allows(pictures, teacher, monkeypatch, tmp_path):
    seen = []

    class Teacher:
        def label(self, images, ids):
            seen.extend(images)
            return [[] for _ in images]

    monkeypatch.setattr("training.teacher.build.build_teacher", lambda config: Teacher())
    cv2.imwrite(str(tmp_path / "stripes.png"), np.tile(np.uint8([[[0] * 3, [255] * 3]]), (480, 320, 1)))
    label_images([tmp_path / "stripes.png"], teacher, LabellingConfig(downsample=12), tmp_path / "out")
    assert seen[0].shape == (480, 640, 3) and seen[0][100:-100, 100:-100].std() < 2


def test_no_image_can_be_read(teacher, tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"none of 1 images is readable; .*a.png: not an image"):
        label_images([tmp_path / "a.png"], teacher, BATCH, tmp_path / "out")
    assert not (tmp_path / "out/annotations.json").exists()


def test_a_read_error_ends_the_run_and_the_next_one_labels_the_image(pictures, teacher, tmp_path, monkeypatch):
    out, read = tmp_path / "out", Path.read_bytes

    def fail(path: Path) -> bytes:
        if path.name == "1.png":
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(
        InputError, match=r"b/1.png: cannot be read \(Stale file handle\); .*run the same command again"
    ):
        label_images([pictures / "b"], teacher, BATCH, out)
    assert not shards(out)
    monkeypatch.undo()
    assert label_images([pictures / "b"], teacher, BATCH, out).unreadable == ()


def test_a_damaged_shard_is_named(pictures, teacher, run, tmp_path):
    out = tmp_path / "out"
    label_images([pictures / "b"], teacher, BATCH, out)
    (out / "shards/0000001.json").write_text('{"images": [')
    with pytest.raises(InputError, match=r"0000001.json: not a readable shard .*remove it"):
        label_images([pictures / "b"], teacher, BATCH, out)


def test_the_label_file_comes_last(run, monkeypatch):
    """Whoever finds it finds a whole run: validation.json and the list of unreadable images are there."""
    out, write, order = run.parent / "again", labelling._write_joined, []
    shutil.copytree(run, out)

    def note(folder: Path, name: str, *rest: Any) -> None:
        order.append((name, (folder / labelling.UNREADABLE).exists()))
        write(folder, name, *rest)

    (out / labelling.UNREADABLE).unlink()
    monkeypatch.setattr(labelling, "_write_joined", note)
    labelling.merge(out, 4, read_listing(out), AnnotationSet((), ()), {"or/b"})
    assert order == [("validation.json", True), ("annotations.json", True)]


def test_a_full_disk_is_one_line_and_leaves_nothing_half(run, monkeypatch):
    out = run.parent / "full"
    shutil.copytree(run, out)
    before = sorted(path.name for path in out.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(labelling.os, "replace", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); free the disk"):
        labelling._write_joined(out, "annotations.json", 4, AnnotationSet((), ()), lambda _: True, labelling._Counts())
    assert sorted(path.name for path in out.iterdir()) == before


@pytest.mark.filterwarnings("ignore")
def test_a_node_killed_half_way_loses_nothing(two_nodes, teacher, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        coarse = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"or_{number}.png"), cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC))
    inputs, config, out = sorted(tmp_path.glob("or_*.png")), LabellingConfig(batch=1), tmp_path / "cluster"
    left = []

    def kill_half_way() -> None:
        while len(list(out.glob("shards/*.json"))) < 10:
            time.sleep(0.01)
        two_nodes.lose_a_node()
        (out / "shards" / ".0000000.json.lost-1.part").write_text("half")  # as if it was killed while it wrote
        left.append(40 - len(list(out.glob("shards/*.json"))))

    killer = threading.Thread(target=kill_half_way, daemon=True)
    killer.start()
    label_images(inputs, teacher, config, out, cluster=two_nodes.address)
    killer.join(timeout=10)
    assert left and left[0] > 0
    label_images(inputs, teacher, config, tmp_path / "alone")
    assert shards(out) == shards(tmp_path / "alone")
    assert json.loads((out / "annotations.json").read_text())["images"][39]["file_name"].startswith("../or_")
