"""The renderer on scenes whose picture is known: a floor, a table-high box, a lamp that it shades."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic_or.people.outfits import sample_outfit
from training.synthetic_or.people.poses import PoseRequest, pose_body
from training.synthetic_or.rendering.labels import label_people
from training.synthetic_or.rendering.renderer import Rendered, Renderer
from training.synthetic_or.rooms.cameras import Camera, look_at
from training.synthetic_or.scenes.people import Floor, Person, clothed
from training.synthetic_or.scenes.scene import Light, Scene
from training.synthetic_or.shapes.materials import MaterialTable
from training.synthetic_or.shapes.meshes import Material, Mesh, box, surface, vertex_normals
from training.synthetic_or.shapes.noise import Noise
from training.synthetic_or.shapes.textures import make_textures

PLAIN = Material(noise=0.0, gloss=0.0)
GREY = np.full(3, 0.5)


def floor() -> Mesh:
    corners = np.array([(-5, -5, 0), (5, -5, 0), (5, 5, 0), (-5, 5, 0)], float)
    return surface(corners, np.array([(0, 1, 2), (0, 2, 3)]), GREY, PLAIN)


def scene(meshes: list[Mesh], people: list[Person] | None = None, lights: list[Light] | None = None) -> Scene:
    return Scene(meshes, people or [], lights or [], np.ones(3), np.array([10.0, 10, 5]), np.zeros(3), Floor())


def from_above(height: float = 3.0) -> Camera:
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = height
    return Camera((80, 60), 60.0, 60.0, 40.0, 30.0, (-0.1, 0.01, 0, 0, 0), pose)


def render(content: Scene, camera: Camera) -> Rendered:
    renderer = Renderer(content, make_textures(per_kind=1), Noise())
    return renderer.render(camera, np.random.default_rng(0))


def test_depth_is_measured_along_the_optical_axis():
    rendered = render(scene([floor(), box((1.0, 0.5, 0.9), GREY, PLAIN)]), from_above())
    assert rendered.depth_m[30, 40] == pytest.approx(2.1, abs=1e-4)  # the box's lid
    assert rendered.depth_m[0, 0] == pytest.approx(3.0, abs=1e-4)  # the floor, in the corner too


def test_ambient_light_alone_gives_the_albedo():
    rendered = render(scene([floor()]), from_above())
    np.testing.assert_allclose(rendered.linear_rgb, 0.5, atol=1e-4)  # ambient 1, normal up


def test_nothing_hit_is_black_and_has_no_depth():
    rendered = render(scene([box((0.5, 0.5, 0.1), GREY, PLAIN)]), from_above())
    assert rendered.depth_m[0, 0] == 0 and (rendered.linear_rgb[0, 0] == 0).all()


def test_a_lamp_is_blocked_by_what_hangs_under_it():
    lamp = Light(np.array([1.0, 0.0, 2.5]), np.array([0.1, 0.1, 0.0]), 1.0, np.ones(3))
    plate = box((0.6, 0.6, 0.02), GREY, PLAIN).moved(offset=(1.0, 0.0, 1.5))
    camera = from_above()
    open_floor, shaded = (render(scene([floor(), *more], lights=[lamp]), camera) for more in ([], [plate]))
    below_plate = camera.project(camera.camera_points_from_room(np.array([[0.55, 0.0, 0.0]])))[0]
    u, v = below_plate.astype(int)
    assert open_floor.linear_rgb[v, u, 0] > 0.6  # ambient 0.5 and the lamp
    assert shaded.linear_rgb[v, u, 0] == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(shaded.linear_rgb[v, 5], open_floor.linear_rgb[v, 5], atol=1e-3)  # far away: lit in both


def person(bank, role: str = "nurse", kind: str = "stand") -> Person:
    rng = np.random.default_rng(2)
    request = PoseRequest(kind, np.zeros(3), 0.0)
    outfit = sample_outfit("patient" if role == "patient" else "scrubs", rng)
    return clothed(bank, 0, pose_body(bank, 0, request, rng), request, outfit, role, 1)


def in_front() -> Camera:
    pose = look_at(np.array([0.0, -3.0, 1.2]), np.array([0.0, 0.0, 0.9]), 0.0)
    return Camera((120, 160), 120.0, 120.0, 60.0, 80.0, (0.0,) * 5, pose)


def test_a_person_in_the_open_is_seen_with_every_joint(bank):
    content = scene([floor()], [person(bank)])
    camera = in_front()
    (label,) = label_people(content, camera, render(content, camera))
    assert (label.keypoints[:, 2] > 0).all()
    assert (label.keypoints[[0, 1, 2, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16], 2] == 2).all()  # ears face sideways
    assert label.keypoints[5, 0] > label.keypoints[6, 0]  # faces the camera: the left shoulder is on the right
    assert not label.is_crowd


def test_what_stands_before_a_person_hides_joints(bank):
    screen = box((2.0, 0.05, 1.1), GREY, PLAIN).moved(offset=(0.0, -1.0, 0.0))
    content = scene([floor(), screen], [person(bank)])
    camera = in_front()
    (label,) = label_people(content, camera, render(content, camera))
    assert (label.keypoints[[0, 5, 6], 2] == 2).all()
    assert (label.keypoints[[13, 14, 15, 16], 2] == 1).all()
    assert label.bbox[3] < 0.7 * label.bbox_amodal[3]


@pytest.mark.parametrize(("role", "free_m", "ignored"), [
    ("patient", 1.0, False), ("patient", 0.3, False), ("patient", 0.05, True), ("nurse", 0.05, True),
])  # fmt: skip
def test_people_are_ignored_when_too_little_is_seen(bank, role, free_m, ignored):
    """Behind a screen, at the height of whose edge the camera looks: `free_m` of the head and body stick out."""
    somebody = person(bank, role)
    edge = float(somebody.body.vertices[:, 2].max()) - free_m
    screen = box((2.0, 0.02, edge), GREY, PLAIN).moved(offset=(0.0, -0.5, 0.0))
    content = scene([floor(), screen], [somebody])
    pose = look_at(np.array([0.0, -3.0, edge]), np.array([0.0, 0.0, edge]), 0.0)
    camera = Camera((120, 160), 120.0, 120.0, 60.0, 140.0, (0.0,) * 5, pose)
    labels = label_people(content, camera, render(content, camera))
    assert [label.is_crowd for label in labels] == [ignored]


def test_normals_of_a_box_point_outwards_or_inwards_along_the_axes():
    mesh = box((1.0, 2.0, 3.0), GREY, PLAIN)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    np.testing.assert_allclose(np.abs(normals).max(1), 1, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-12)


def test_noise_repeats_and_is_smooth():
    noise = Noise()
    points = np.random.default_rng(0).uniform(-100, 100, (3, 500))
    np.testing.assert_allclose(noise.values(points), noise.values(points + 48.0), atol=1e-3)
    step = np.array([[0.0], [0.0], [0.25]])
    slope = (noise.values(points + step) - noise.values(points - step)) / 0.5
    assert np.corrcoef(slope, noise.gradients(points)[2])[0, 1] > 0.95


def test_material_table_keeps_the_order():
    table = MaterialTable([PLAIN, Material(folds=0.4, gloss=0.3)])
    assert table.gloss.tolist() == pytest.approx([0.0, 0.3]) and table.fold_scale.shape == (2, 3)
