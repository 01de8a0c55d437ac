"""Room files: what they fix is so in the scene, what does not fit is named, the calibration comes out as it went in."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from orpose.main import main
from orpose_models import annotations as ann
from orpose_models.errors import ConfigError
from orpose_models.settings import build_settings
from training.synthetic_or import views
from training.synthetic_or.check_room import check_fixed_cameras
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.rooms.cameras import look_at
from training.synthetic_or.scenes.fixed_room import linear_of
from training.synthetic_or.scenes.room_file import RoomFile, load_room
from training.synthetic_or.scenes.scene import sample_scene
from training.synthetic_or.shapes.noise import Noise
from training.synthetic_or.shapes.textures import make_textures
from training.synthetic_or.views import Assets, render_scene

EXAMPLES = sorted((Path(__file__).parents[4] / "config/rooms").glob("*.yaml"))
WEIGHTS_ROOMS = "training/configs/weights/rooms"
LENS = {"image_size": [640, 480], "fx": 500, "fy": 500, "cx": 320, "cy": 240}
IN_CORNER = {**LENS, "name": "corner", "position_m": [-2, -2, 2.4], "look_at_m": [0, 0, 1]}
ROOM = {"size_m": [6, 6, 3], "cameras": [IN_CORNER], "clutter": 0, "machines": []}


@pytest.fixture(scope="module")
def assets(bank) -> Assets:
    return Assets(bank, make_textures(per_kind=1), Noise())


def room(**values) -> RoomFile:
    return build_settings(RoomFile, {**ROOM, **values}, "room.yaml")


# ------------------------------------------------------------------------------------------------------------- reading


def test_there_are_two_examples_and_their_rooms_render_from_their_cameras(assets):
    assert len(EXAMPLES) >= 2
    models = set()
    for path in EXAMPLES:
        config = SynthConfig(room=str(path), size="96x72")
        check_fixed_cameras(config.room, assets)
        assert config.views == len(config.room.cameras) > 1
        models |= {view.camera.model for view in render_scene(config, 0, assets)}
    assert models == {"plumb_bob", "equidistant"}


def test_the_rooms_of_the_shipped_weights_can_be_read():
    rooms = {path.stem: load_room(path) for path in (Path(__file__).parents[4] / WEIGHTS_ROOMS).glob("*.yaml")}
    empty = {"nobody", "free_floor", "screens", "stored", "bright_nobody"}
    others = {"stored_staff"} | {f"{place}_{team}" for place in ("free_floor", "screens") for team in ("staff", "navy")}
    bedside = {"bedside", "bedside_blue", "bedside_navy", "across_blue", "behind_machines", "shoulder_to_shoulder"}
    assert set(rooms) == {"light_blue", "navy", "ceiling_blue", "around", *empty, *others, *bedside}
    assert {name for name, room in rooms.items() if room.staff.max == 0} == empty
    assert rooms["bedside_navy"].outfits == rooms["navy"].outfits
    assert rooms["bedside_navy"].cameras == rooms["bedside_blue"].cameras == rooms["bedside"].cameras


@pytest.mark.parametrize(("values", "message"), [
    ({"size_m": [6, 6]}, "size_m"),
    ({"size_m": [6, 6, 1.5]}, "size_m: got [6, 6, 1.5]: expected 2.5 to 30 m along x and y and a height of 2.2 to 8 m"),
    ({"size_m": None}, "size_m: missing: fixed cameras need a room of a fixed size"),
    ({"cameras": [IN_CORNER, IN_CORNER]}, "the name 'corner' is given twice"),
    ({"wall_colour": "blue"}, "wall_colour: got 'blue': expected #rrggbb, such as #1d3f7a"),
    ({"walls": 3}, "walls: got 3: extra inputs are not permitted"),
    ({"furniture": [{"kind": "sofa2", "position_m": [0, 0]}]}, "furniture.0.kind: unknown 'sofa2': expected one of"),
    ({"machines": [{"kind": "cart", "position_m": [0, 0]}]}, "machines.0.kind: unknown 'cart': expected one"),
    ({"machines": [{"kind": "c_arm", "position_m": [4, 0]}]}, "machines.0 (c_arm): outside of the room"),
    ({"table": {"position_m": [0, -9]}}, "table: outside of the room"),
    ({"table": {"height_m": 95}}, "table.height_m: got 95"),
    ({"staff": {"min": 5, "max": 2}}, "min 5 is above max 2"),
    ({"patient_probability": 60}, "patient_probability: got 60"),
    ({"staff": {"at_table": 60}}, "staff.at_table: got 60"),
    ({"drape_hang_m": [0.8, 0.2]}, "drape_hang_m: got [0.8, 0.2]: expected the shortest before the longest"),
    ({"drape_hang_m": [20, 40]}, "drape_hang_m.0: got 20"),
    ({"outfits": {"surgeon": {"kinds": {"tuxedo": 1}}}}, "unknown outfit 'tuxedo': expected gown, scrubs, apron"),
    ({"outfits": {"surgeon": {"kinds": {"gown": 0}}}}, "at least one of them above 0"),
    ({"outfits": {"pirate": {}}}, "outfits.pirate"),
    ({"outfits": {"nurse": {"colours": {"hat": ["#ffffff"]}}}}, "outfits.nurse.colours.hat"),
    ({"cameras": [{**IN_CORNER, "position_m": [-2, -2, 3.2]}]}, "camera 'corner': outside of the room or in a wall at "
     "(-2.00, -2.00, 3.20): expected x -3 to 3, y -3 to 3, z 0 to 3 m"),
    ({"cameras": [{**IN_CORNER, "position_m": [-3, -2, 2]}]}, "camera 'corner': outside of the room or in a wall"),
    ({"cameras": [{**IN_CORNER, "look_at_m": None}]}, "corner: expected room_from_camera, or position_m and look_at_m"),
    ({"cameras": [LENS]}, "expected room_from_camera, or position_m and look_at_m"),
    ({"cameras": [{**LENS, "room_from_camera": np.diag([1, 1, -1, 1]).tolist()}]}, "determinant -1.0000, expected +1"),
    ({"cameras": [{**LENS, "room_from_camera": np.diag([9, 9, 9, 1]).tolist()}]}, "no rotation"),
    ({"cameras": [{**IN_CORNER, "model": "fisheye"}]}, "cameras.0.model: got 'fisheye'"),
    ({"cameras": [{**IN_CORNER, "distortion": [0.1]}]}, "cameras.0: distortion: expected 0 or 4 or 5 numbers"),
    ({"cameras": [{**IN_CORNER, "fx": -500}]}, "cameras.0.fx: got -500"),
    ({"cameras": [{**IN_CORNER, "image_size": [0, 480]}]}, "image_size: expected width and height above 0 px"),
    ({"cameras": [{**IN_CORNER, "fx": float("inf")}]}, "cameras.0.fx: got inf: input should be a finite number"),
    ({"cameras": [{**IN_CORNER, "fy": 1e9}]}, "corner: fy: got 1e+09 px for images 640 px wide: expected 32 to"),
    ({"cameras": [{**IN_CORNER, "distortion": [float("nan"), 0, 0, 0]}]}, "cameras.0.distortion.0: got nan"),
    ({"cameras": [{**LENS, "room_from_camera": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [1, 2, 3, 4]]}]},
     "the last row is [1.0, 2.0, 3.0, 4.0], expected 0 0 0 1"),
    ({"cameras": [IN_CORNER] * 7}, "...: tuple should have at most 6 items"),
    ({"outfits": {"nurse": {"kinds": {"gown": float("nan")}}}}, "outfits.nurse.kinds.gown: got nan"),
    ({"lights": [{"position_m": [9, 0]}]}, "lights.0: outside of the room"),
    ({"lights": [{"position_m": [0, 0], "size_m": [-1, 1]}]}, "lights.0.size_m.0: got -1"),
    ({"machines": [3]}, "machines.0: got 3: expected names and values"),
    ({"size_m": "big"}, "size_m: got 'big': expected a list"),
])  # fmt: skip
def test_errors_name_file_key_and_what_was_expected(tmp_path, values, message):
    path = tmp_path / "room.yaml"
    path.write_text(yaml.safe_dump({**ROOM, **values}))
    with pytest.raises(ConfigError) as caught:
        load_room(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < len(str(path)) + 900


@pytest.mark.parametrize(("options", "message"), [
    ({"size": "640x360"}, "camera 'corner': image_size 640x480 has another aspect than the images' 640x360"),
    ({"views": 2}, "views: got 2: the room file has 1 cameras"),
    ({"domain": "everyday"}, "only for operating rooms"),
    ({"cameras": "fisheye"}, "cameras: got 'fisheye': the room file has its own"),
])  # fmt: skip
def test_a_room_must_fit_the_other_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        build_settings(SynthConfig, {"room": room(), **options}, "command line")


# -------------------------------------------------------------------------------------------------------- calibrations


def test_cameras_of_a_label_file(tmp_path):
    pose = look_at(np.array([0.5, 0.5, 2.5]), np.array([3.0, 3.0, 1.0]), 3.0)
    camera = ann.Camera("top", "equidistant", (640, 480), 160.0, 161.0, 320.0, 240.0, (0.01, 0, 0, 0), pose)
    ann.write_annotations(tmp_path / "cameras.json", ann.AnnotationSet((), (), {"top": camera}))
    path = tmp_path / "room.yaml"
    path.write_text("size_m: [6, 6, 3]\nfloor_centre_m: [3, 3, 0]\ncalibration: cameras.json\n")
    (read,) = load_room(path).cameras
    assert (read.name, read.model, read.distortion) == ("top", "equidistant", (0.01, 0, 0, 0))
    (exact,) = load_room(path).fixed_cameras((320, 240), None)
    assert (exact.fx, exact.cy) == (80.0, 120.0)
    np.testing.assert_allclose(exact.room_from_camera[:3, 3], [-2.5, -2.5, 2.5])
    np.testing.assert_allclose(exact.room_from_camera[:3, :3], pose[:3, :3])


def mvor_info() -> dict:
    """Two cameras in millimetres; the first looks along the room's x."""
    room_from_first = np.array([[0, 0, 1, -2000], [-1, 0, 0, 0], [0, -1, 0, 1500], [0, 0, 0, 1.0]])
    beside = np.eye(4)
    beside[0, 3] = 500
    intrinsics = {"focallength": [538.0, 537.0], "principalpoint": [316.0, 242.0], "imagesize": [640, 480],
                  "distortion": [0.3, -1, 6, 0, 0]}  # fmt: skip
    extrinsics = [np.eye(4).ravel().tolist(), beside.ravel().tolist()]
    parameters = {"firstCamToRoomRef": room_from_first.ravel().tolist(), "intrinsics": [intrinsics] * 2}
    return {"cameras_info": {"camParams": {**parameters, "extrinsics": extrinsics}}}


def test_mvors_calibration(tmp_path):
    (tmp_path / "mvor.json").write_text(json.dumps(mvor_info()))
    path = tmp_path / "room.yaml"
    path.write_text("size_m: [6, 6, 3]\nfloor_centre_m: [0, 0, -1]\ncalibration: mvor.json\n")
    first, second = load_room(path).fixed_cameras((640, 480), None)
    assert (first.fx, first.fy, first.cx, first.cy) == (538, 537, 316, 242)
    np.testing.assert_allclose(first.room_from_camera[:3, 3], [-2, 0, 2.5])  # one metre above MVOR's origin
    np.testing.assert_allclose(first.room_from_camera[:3, 2], [1, 0, 0])
    np.testing.assert_allclose(second.room_from_camera[:3, 3], [-2, -0.5, 2.5])  # half a metre to the right


@pytest.mark.parametrize(("content", "message"), [
    (None, "calibration cannot be read"),
    ("{", "is not JSON"),
    ("{}", "no cameras: expected a file of `orpose calibrate`"),
    ('{"cameras": {"a": {"model": "plumb_bob"}}}', "camera a: image_size: missing"),
    ('{"cameras_info": {"camParams": {}}}', "cameras_info: not as MVOR's"),
])  # fmt: skip
def test_bad_calibrations_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "c.json").write_text(content)
    path = tmp_path / "room.yaml"
    path.write_text("size_m: [6, 6, 3]\ncalibration: c.json\n")
    with pytest.raises(ConfigError, match=message) as caught:
        load_room(path)
    assert "c.json" in str(caught.value)


def test_written_cameras_are_the_files(assets):
    """Without jitter exactly, in the file's frame; with it near by and different from scene to scene."""
    values = {**ROOM, "floor_centre_m": [3, 3, 0.5], "cameras": [{**IN_CORNER, "position_m": [1, 1, 2.9]}]}
    exact = SynthConfig(room=RoomFile(**values, jitter_m=0, jitter_deg=0), size="96x72")
    pose = exact.room.cameras[0].pose
    (view,) = render_scene(exact, 0, assets)
    np.testing.assert_allclose(view.camera.room_from_camera, pose, atol=1e-12)
    assert view.camera.fx == pytest.approx(500 * 96 / 640)
    loose = RoomFile(**values, jitter_m=0.02, jitter_deg=1.0)
    places, angles_deg = [], []
    for seed in range(200):
        moved = loose.in_file_frame(loose.fixed_cameras((80, 60), np.random.default_rng(seed))[0].room_from_camera)
        places.append(moved[:3, 3] - pose[:3, 3])
        cosine = (np.trace(moved[:3, :3].T @ pose[:3, :3]) - 1) / 2
        angles_deg.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        assert np.linalg.det(moved[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(np.std(places, axis=0), 0.02, rtol=0.2)
    assert np.sqrt(np.mean(np.square(angles_deg)) / 3) == pytest.approx(1.0, rel=0.2)


# ------------------------------------------------------------------------------------------------------------- content


def test_people_are_as_many_and_dressed_as_the_room_says(assets):
    given = room(
        staff={"min": 3, "max": 4}, patient_probability=1.0,
        outfits={role: {"kinds": {"gown": 1.0}, "colours": {"gown": ["#ff0000"], "mask": ["#00ff00"]}}
                 for role in ("surgeon", "assistant", "nurse", "anaesthetist", "visitor")},
    )  # fmt: skip
    numbers = set()
    for seed in range(3):
        people = sample_scene("or", assets.bank, assets.textures, np.random.default_rng(seed), given).people
        staff = [person for person in people if person.role != "patient"]
        assert len(people) == len(staff) + 1
        numbers.add(len(staff))
        for person in staff:
            assert person.outfit.kind == "gown"
            np.testing.assert_allclose(person.outfit.main, linear_of("#ff0000"))
            assert person.outfit.mask is None or (person.outfit.mask == linear_of("#00ff00")).all()
    assert numbers <= {1, 2, 3, 4}  # fewer where there is no place left
    nobody = room(staff={"min": 0, "max": 0}, patient_probability=0.0)
    assert sample_scene("or", assets.bank, assets.textures, np.random.default_rng(0), nobody).people == []


@pytest.mark.parametrize("patient", [0.0, 1.0])
def test_sheets_over_table_and_patient_are_as_the_room_says(assets, patient):
    """A patient is nearly always covered, an empty table now and then."""
    given = room(
        staff={"min": 0, "max": 0}, patient_probability=patient, drapes=["#ff0000", "#00ff00"], clutter=0, machines=[]
    )
    allowed, found = {tuple(linear_of(code)) for code in given.drapes}, set()
    for seed in range(16):
        scene = sample_scene("or", assets.bank, assets.textures, np.random.default_rng(seed), given)
        found |= {tuple(mesh.colours[0]) for mesh in scene.furniture} & allowed
    assert found == allowed
    scene = sample_scene("or", assets.bank, assets.textures, np.random.default_rng(0), room(machines=[], clutter=0))
    assert not allowed & {tuple(mesh.colours[0]) for mesh in scene.furniture}


@pytest.mark.parametrize("patient", [0.0, 1.0])
def test_sheets_hang_down_as_far_as_the_room_says(assets, patient):
    def lowest(hang: float) -> list[float]:
        given = room(
            drapes=["#ff0000"], drape_hang_m=[hang, hang], table={"height_m": 0.9}, staff={"min": 0, "max": 0},
            patient_probability=patient, clutter=0, machines=[],
        )  # fmt: skip
        ends = []
        for seed in range(16):
            scene = sample_scene("or", assets.bank, assets.textures, np.random.default_rng(seed), given)
            red = [mesh for mesh in scene.furniture if tuple(mesh.colours[0]) == tuple(linear_of("#ff0000"))]
            ends += [min(mesh.vertices[:, 2].min() for mesh in red)] if red else []
        return ends

    long, short = lowest(0.75), lowest(0.1)
    assert len(long) > 2
    assert max(long) < 0.35 < 0.4 < min(short)  # of a table 0.9 m high; folds and corners take some, a body lifts it


def test_as_many_stand_at_the_table_as_the_room_says(assets):
    here, elsewhere = {"surgeon", "assistant", "nurse"}, {"nurse", "anaesthetist", "visitor"}
    for share, roles in ((1.0, here), (0.0, elsewhere)):
        given = room(staff={"min": 5, "max": 5, "at_table": share}, patient_probability=0.0)
        scenes = (sample_scene("or", assets.bank, assets.textures, np.random.default_rng(i), given) for i in range(3))
        staff = [person.role for scene in scenes for person in scene.people]
        assert len(staff) > 5
        assert set(staff) == roles


def test_a_room_takes_over_what_its_base_says(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**ROOM, "staff": {"min": 2, "max": 3}}))
    (tmp_path / "own.yaml").write_text("base: base.yaml\nstaff: {max: 5}\nclutter: 4\n")
    own, base = load_room(tmp_path / "own.yaml"), load_room(tmp_path / "base.yaml")
    assert (own.staff.min, own.staff.max, own.clutter, own.size_m) == (2, 5, 4, base.size_m)
    assert own.cameras == base.cameras


def test_table_lamps_light_and_size_are_as_the_room_says(assets):
    given = room(
        table={"position_m": [1.0, -0.5], "heading_deg": 0, "height_m": 0.8}, things_jitter_m=0.0, ambient=0.4,
        floor_centre_m=[0.5, 0, 0], lights=[{"position_m": [0.5, 1.0], "power": 2.0}],
        staff={"min": 0, "max": 0}, patient_probability=0.0, cameras=[],
    )  # fmt: skip
    scene = sample_scene("or", assets.bank, assets.textures, np.random.default_rng(0), given)
    np.testing.assert_allclose(scene.room, [6, 6, 3])
    np.testing.assert_allclose(scene.table, [0.5, -0.5, 0.8])
    np.testing.assert_allclose(scene.ambient, 0.4)
    assert len(scene.lights) == 1
    np.testing.assert_allclose(scene.lights[0].centre, [0.0, 1.0, 2.95])


def test_things_stand_where_the_room_says(assets):
    empty = room(staff={"min": 0, "max": 0}, patient_probability=0.0, furniture=[])
    cart = {"kind": "cart", "position_m": [2.0, 2.0], "heading_deg": 0}
    furnished = room(**{**empty.model_dump(), "furniture": [cart], "things_jitter_m": 0.0})
    found = []
    for given in (empty, furnished):
        scene = sample_scene("or", assets.bank, assets.textures, np.random.default_rng(1), given)
        vertices = np.concatenate([mesh.vertices for mesh in scene.meshes])
        inside = (np.abs(vertices[:, :2] - 2.0) < 0.5).all(1) & (vertices[:, 2] > 0.2) & (vertices[:, 2] < 2)
        found.append(int(inside.sum()))
        assert scene.floor.free(2.0, 2.0, 0.0) == (given is empty)
    assert found[0] == 0 < found[1]


# -------------------------------------------------------------------------------------------------------- blocked views


def test_a_camera_inside_furniture_is_refused_by_name(assets):
    inside = {**IN_CORNER, "position_m": [2, 2, 0.5], "look_at_m": [0, 0, 0.5]}
    given = room(cameras=[inside], furniture=[{"kind": "cart", "position_m": [2, 2], "heading_deg": 0}])
    with pytest.raises(ConfigError, match=r"camera 'corner' at \(2.00, 2.00, 0.50\): cart at \(2, 2\) fills its view"):
        check_fixed_cameras(given, assets)


def test_refused_cameras_name_the_file(tmp_path, assets):
    path = tmp_path / "room.yaml"
    inside = {**IN_CORNER, "position_m": [2, 2, 0.5], "look_at_m": [0, 0, 0.5]}
    path.write_text(
        yaml.safe_dump({**ROOM, "cameras": [inside], "furniture": [{"kind": "cart", "position_m": [2, 2]}]})
    )
    with pytest.raises(ConfigError, match=f"^{path}: camera 'corner'"):
        check_fixed_cameras(SynthConfig(room=str(path)).room, assets)
    with pytest.raises(ConfigError, match=f"^command line: {path}: camera 'corner': image_size 640x480 has another"):
        build_settings(SynthConfig, {"room": str(path), "size": "640x360"}, "command line")


def test_a_camera_with_a_free_view_is_accepted(assets):
    check_fixed_cameras(room(furniture=[{"kind": "cart", "position_m": [2, 2]}]), assets)


def test_blocked_views_are_counted_and_never_endless(assets, monkeypatch):
    two = [IN_CORNER, {**IN_CORNER, "name": "other", "position_m": [2, -2, 2.4]}]
    config = SynthConfig(room=room(cameras=two, staff={"min": 0, "max": 0}), size="96x72")
    answers = iter([True, False])
    monkeypatch.setattr(views, "is_blocked", lambda *_: next(answers, False))
    rejected: Counter[str] = Counter()
    assert [view.number for view in render_scene(config, 0, assets, rejected)] == [0, 1]
    assert rejected == {"blocked": 1}
    monkeypatch.setattr(views, "is_blocked", lambda *_: True)
    monkeypatch.setattr(views, "_MAX_TRIES", 3)
    rejected.clear()
    assert render_scene(config, 0, assets, rejected) == []
    assert rejected == {"blocked": 6}


# -------------------------------------------------------------------------------------------------------- from outside


def test_the_command_makes_a_rooms_images(tmp_path, capsys):
    (example,) = [path for path in EXAMPLES if "small" in path.name]
    arguments = ["--out", str(tmp_path / "set"), "--images", "4", "--size", "160x120", "--workers", "1"]
    assert main(["synth", "--room", str(example), *arguments]) == 0
    assert re.search(r"views with nobody: \d+  views rejected: (0|\d+ \(blocked\))\n", capsys.readouterr().out)
    labels = ann.read_annotations(tmp_path / "set" / "annotations.json")
    assert labels.info["views_rejected"].keys() <= {"blocked"}
    assert [labels.cameras[str(image.camera_id)].model for image in labels.images] == ["plumb_bob", "equidistant"] * 2
    for image in labels.images:
        place = labels.cameras[str(image.camera_id)].room_from_camera[:3, 3]
        given = load_room(example).cameras[image.image_id % 2].pose[:3, 3]
        np.testing.assert_allclose(place, given, atol=0.1)  # displaced a little, in the file's own frame
    assert main(["synth", "--room", str(example), *arguments]) == 0  # finished: nothing to do


def test_the_command_names_what_is_wrong_with_a_room(tmp_path, capsys):
    path = tmp_path / "room.yaml"
    path.write_text("outfits: {nurse: {kinds: {tuxedo: 1}}}\n")
    assert main(["synth", "--room", str(path), "--out", str(tmp_path / "set")]) == 2
    assert f"{path}: outfits.nurse.kinds: unknown outfit 'tuxedo': expected gown, scrubs" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()
