"""Lifters measured on labels, on a network's joints and on poses in MVOR's format; refitting a finished student."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from orpose_models.annotations import read_annotations
from orpose_models.errors import AnnotationError
from orpose_models.skeleton import COCO17, H36M17, MVOR10, MVOR10_FROM_H36M17

torch = pytest.importorskip("torch")

from orpose_models.network import build_student, get_preset, load_student, save_weights  # noqa: E402
from orpose_models.network.conventions import Conventions  # noqa: E402
from orpose_models.network.weights import read_input_size  # noqa: E402
from training.distill import lift_eval, refit  # noqa: E402
from training.distill.lift_sets import read_labelled, read_mvor, read_predicted  # noqa: E402

PUBLIC = Path(__file__).parents[4] / "shared/data/mvor/camma_mvor_2018.json"


@pytest.fixture(scope="module")
def dataset(make_dataset) -> Path:
    return make_dataset(12)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("lifters") / "lite.safetensors"
    torch.manual_seed(0)
    save_weights(build_student("lite_single"), path, {"name": "a student"}, (128, 96))
    return path


def mvor_root(joints_3d: np.ndarray, first_from_second: np.ndarray) -> dict:
    """One moment of two cameras; the person of id 0 is labelled in both, in the second without its left wrist."""
    two = np.column_stack([np.arange(10) * 10.0 + 100, np.arange(10) * 5.0 + 50, np.full(10, 2.0)])
    cut = two.copy()
    cut[MVOR10.index("left_wrist")] = 0
    entry = {"category_id": "1", "bbox": [90, 40, 110, 60], "only_bbox": 0}
    return {
        "categories": [{"id": "1", "name": "person", "keypoints": list(MVOR10.joint_names)}],
        "images": [{"id": n, "file_name": f"{n}.png", "width": 640, "height": 480} for n in (11, 12)],
        "annotations": [
            {"id": 0, "image_id": 11, "person_id": 0, "keypoints": two.ravel().tolist(), **entry},
            {"id": 1, "image_id": 12, "person_id": 0, "keypoints": cut.ravel().tolist(), **entry},
            {"id": 2, "image_id": 12, "person_id": -1, "keypoints": two.ravel().tolist(), **entry},
        ],
        "annotations3D": [
            {"id": "1", "person_id": 0, "image_ids": "11_12", "keypoints3D": joints_3d.ravel().tolist()},
        ],
        "cameras_info": {"camParams": {"extrinsics": [np.eye(4).tolist(), first_from_second.ravel().tolist()]}},
    }  # fmt: skip


@pytest.fixture
def pose() -> np.ndarray:
    places = np.random.default_rng(0).normal((0, 0, 3000), 300, (12, 3))
    return np.column_stack([places, np.full(12, 2)])


def test_an_mvor_pose_in_each_cameras_axes(pose, tmp_path: Path) -> None:
    pose[MVOR10.index("head")] = (0, 0, 0, 1)  # missing
    first_from_second = np.array([[0, 0, 1, 500], [-1, 0, 0, 0], [0, -1, 0, 70], [0, 0, 0, 1]], float)
    path = tmp_path / "mvor.json"
    path.write_text(json.dumps(mvor_root(pose, first_from_second)))
    found = read_mvor(path)
    assert found.cameras.tolist() == ["camera 1", "camera 2"] and found.moments.tolist() == [0, 0]
    hips = pose[[MVOR10.index("left_hip"), MVOR10.index("right_hip")], :3].mean(axis=0)
    x, y, z = pose[MVOR10.index("right_wrist"), :3] - hips
    np.testing.assert_allclose(found.truth[0, H36M17.index("right_wrist")], [x, y, z])
    np.testing.assert_allclose(found.truth[1, H36M17.index("right_wrist")], [-y, -z, x])
    rows = set(MVOR10_FROM_H36M17) - {H36M17.index("head")}
    assert set(np.flatnonzero(found.known[0]).tolist()) == rows
    wrist, ears = COCO17.index("left_wrist"), [COCO17.index("left_ear"), COCO17.index("right_ear")]
    assert found.confidence[0, wrist] == 1 and found.confidence[1, wrist] == 0
    assert found.joints[0, ears].tolist() == [[100, 50]] * 2
    unknown = [row for row, name in enumerate(COCO17.joint_names) if name.endswith(("nose", "eye", "knee", "ankle"))]
    assert not found.confidence[:, unknown].any()


def test_a_wide_image_is_where_the_networks_input_has_it(pose, tmp_path: Path) -> None:
    root = mvor_root(pose, np.eye(4))
    for image in root["images"]:
        image |= {"width": 1280, "height": 720}  # fills 360 of 480 lines, 60 px below the upper edge
    path = tmp_path / "mvor.json"
    path.write_text(json.dumps(root))
    found = read_mvor(path)
    assert found.joints[0, COCO17.index("left_ear")].tolist() == [100 / 2, 50 / 2 + 60]
    assert found.boxes[0].tolist() == [90 / 2, 40 / 2 + 60, 200 / 2, 100 / 2 + 60]


@pytest.mark.parametrize("key", ["cameras_info", "annotations3D"])
def test_a_file_that_is_not_mvors(pose, tmp_path: Path, key: str) -> None:
    root = mvor_root(pose, np.eye(4))
    del root[key]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(root))
    with pytest.raises(AnnotationError, match=f"other.json: .*{key}"):
        read_mvor(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_ids": None}, "image_ids: missing"),
        ({"image_ids": "11_a"}, "image_ids: unexpected value '11_a'"),
        ({"image_ids": "11"}, "image_ids: expected one for each of 2 cameras, got 1"),
        ({"person_id": None}, "person_id: missing"),
    ],
)
def test_mvor_poses_that_belong_to_no_images(pose, tmp_path: Path, change: dict, message: str) -> None:
    root = mvor_root(pose, np.eye(4))
    root["annotations3D"].append({**root["annotations3D"][0], **change})
    path = tmp_path / "mvor.json"
    path.write_text(json.dumps(root))
    with pytest.raises(AnnotationError, match=f"mvor.json: annotations3D 1: {message}"):
        read_mvor(path)


def test_the_public_file_has_its_1061_poses_in_2488_views() -> None:
    if not PUBLIC.exists():
        pytest.skip(f"{PUBLIC} is not here")
    found = read_mvor(PUBLIC)
    assert len(found) == 2488 and len(set(found.moments.tolist())) == 629
    limbs = np.linalg.norm(found.truth[:, 11] - found.truth[:, 12], axis=1)  # left upper arm
    assert 200 < np.median(limbs) < 300


def results_of(dataset: Path, offset_px: float) -> list[dict]:
    annotations = read_annotations(dataset / "annotations.json")
    return [
        {
            "image_id": p.image_id, "bbox": p.bbox.tolist(), "score": 0.9,
            "keypoints": (p.keypoints * (1, 1, 0) + (offset_px, 0, 0.7)).ravel().tolist(),
        }
        for p in annotations.persons[:-2]
    ]  # fmt: skip


def test_people_that_a_network_found_have_its_joints(dataset: Path) -> None:
    labelled = read_labelled(dataset / "annotations.json")
    found = read_predicted(dataset / "annotations.json", results_of(dataset, 1.0))
    assert (len(labelled), len(found)) == (12, 10)
    scale = 480 / 96
    np.testing.assert_allclose(found.joints - labelled.joints[:10], np.broadcast_to([scale, 0], (10, 17, 2)), atol=1e-9)
    assert (found.confidence == 0.7).all() and (labelled.confidence == 1).all()
    np.testing.assert_array_equal(found.truth, labelled.truth[:10])


def test_the_command_measures_and_compares(dataset: Path, weights: Path, tmp_path: Path, capsys) -> None:
    other = tmp_path / "other.safetensors"
    torch.manual_seed(1)
    save_weights(build_student("lite_single"), other)
    (tmp_path / "r.json").write_text(json.dumps(results_of(dataset, 0.0)))
    labels = ["--labels", str(dataset / "annotations.json"), "--predicted", f"1x={tmp_path / 'r.json'}"]
    assert lift_eval.main([str(weights), str(other), *labels, "--bootstrap", "20", "--json", str(tmp_path / "o")]) == 0
    assert "NaN" not in (tmp_path / "o").read_text()
    found = json.loads((tmp_path / "o").read_text())
    assert list(found) == ["labels", "labels, disturbed", "predicted 1x"]
    rows = found["labels"]
    first, second = rows[str(weights)]["all"]["mpjpe_mm"], rows[str(other)]["all"]["mpjpe_mm"]
    assert rows[str(other)]["against"]["difference_mm"] == pytest.approx(second - first, abs=1e-6)
    assert rows["mean pose"]["all"]["mpjpe_mm"] < min(first, second)  # random weights know less
    assert "labels: mean pose" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.safetensors", "--labels", "{labels}"], "nowhere.safetensors: no such weight file"),
        (["orpose:a.pth", "--labels", "{labels}"], "needs --statistics"),
        (["{weights}"], "nothing to measure on; give --labels or --mvor"),
        (["{weights}", "--mvor", "{labels}"], "cameras_info"),
        (["{weights}", "--labels", "{labels}", "--bootstrap", "0"], "command line: bootstrap: got 0"),
    ],
)
def test_user_errors_are_one_line(dataset: Path, weights: Path, capsys, arguments: list[str], message: str) -> None:
    given = [text.format(labels=dataset / "annotations.json", weights=weights) for text in arguments]
    assert lift_eval.main(given) == 2
    assert message in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------------- refit


@pytest.fixture
def config(dataset: Path, tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    run = {
        "name": "a", "preset": "lite_single", "sources": [{"annotations": str(dataset)}], "iterations": 1,
        "stages": [{"until": 1, "size": [96, 64], "batch_size": 2}], "threads": 1,
        "lifters": {"batch_size": 8, "pool": 50},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(run))
    return path


def test_refitting_changes_the_lifters_and_nothing_else(config: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    arguments = [str(config), str(weights), "--out", str(out), "--lifter-input", "confidence", "--iterations", "2"]
    assert refit.main(arguments) == 0
    assert read_input_size(out) == (128, 96)
    before, after = load_student(weights).state_dict(), load_student(out)
    assert after.preset.lifter_input == "confidence"
    changed = {key for key, value in after.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(key.startswith("heads.lifter_") for key in changed)
    card = yaml.safe_load(out.with_suffix(".yaml").read_text())
    assert card["name"] == "a student" and card["lifters"]["people"] == 12 and card["lifter_input"] == "confidence"


def test_refitting_starts_from_the_lifters_that_read_the_same(config: Path, weights: Path) -> None:
    student = refit.student_with(load_student(weights), "paper")
    assert torch.equal(student.heads.lifter_hard.w2.weight, load_student(weights).heads.lifter_hard.w2.weight)


def test_refitting_gives_lifters_to_a_student_without() -> None:
    source = build_student(get_preset("lite_single").with_conventions(Conventions(has_lifters=False)))
    assert refit.student_with(source, "paper").preset.conventions.has_lifters


def test_refitting_errors(config: Path, weights: Path, tmp_path: Path, capsys) -> None:
    assert refit.main([str(config), str(weights), "--out", str(weights), "--iterations", "2"]) == 2
    assert "is the file that is read" in capsys.readouterr().err
    assert refit.main([str(config), str(weights), "--out", str(tmp_path / "o.safetensors")]) == 2
    assert "lifter_iterations is 0; give --iterations" in capsys.readouterr().err
    assert not (tmp_path / "o.safetensors").exists()
