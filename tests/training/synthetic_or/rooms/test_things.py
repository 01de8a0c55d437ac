"""Everything in the room that is not a person: parts, textures, the catalogue, where things stand, the sensor."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic_or.rendering.sensor import expose
from training.synthetic_or.rooms import clutter
from training.synthetic_or.rooms.catalogue import FLOOR_THINGS, MACHINES
from training.synthetic_or.rooms.lights import ceiling_lights, surgical_light
from training.synthetic_or.rooms.room import room_shell
from training.synthetic_or.rooms.walls import WALL_THINGS
from training.synthetic_or.scenes.people import Floor
from training.synthetic_or.scenes.placing import place_furniture
from training.synthetic_or.shapes.kit import Kit
from training.synthetic_or.shapes.materials import METAL, PLASTIC
from training.synthetic_or.shapes.meshes import Material, Mesh, vertex_normals
from training.synthetic_or.shapes.textures import SIZE, Textures, make_textures

GREY = np.full(3, 0.5)
CEILING = 2.9


@pytest.fixture(scope="module")
def textures() -> Textures:
    return make_textures(per_kind=2)


def extent(meshes: list[Mesh]) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.concatenate([mesh.vertices for mesh in meshes])
    return vertices.min(0), vertices.max(0)


def test_a_kit_makes_one_mesh_a_material_and_puts_parts_where_they_belong():
    kit = Kit()
    kit.box((1.0, 0.2, 0.4), (0.0, 0.0, 1.0), GREY, PLASTIC)
    kit.cylinder(0.1, 0.5, (1.0, 0.0, 0.0), GREY, PLASTIC)
    kit.rod((0.0, 0.0, 0.0), (0.0, 0.0, 2.0), 0.05, GREY, METAL)
    plastic, metal = kit.meshes()
    assert (plastic.material, metal.material) == (PLASTIC, METAL)
    low, high = extent([plastic])
    np.testing.assert_allclose([low[0], high[0], low[2], high[2]], [-0.5, 1.1, 0.0, 1.4], atol=1e-9)
    np.testing.assert_allclose(metal.vertices[:, 2].max(), 2.0)
    np.testing.assert_allclose(np.hypot(metal.vertices[:, 0], metal.vertices[:, 1]), 0.05)


def test_headings_turn_parts_counter_clockwise():
    kit = Kit()
    kit.box((1.0, 0.2, 0.1), (2.0, 0.0, 0.0), GREY, heading=90.0)
    low, high = extent(kit.meshes())
    np.testing.assert_allclose([*low[:2], *high[:2]], [1.9, -0.5, 2.1, 0.5], atol=1e-9)


def test_a_bevelled_box_keeps_its_size_and_faces_outwards():
    kit = Kit()
    kit.box((0.6, 0.4, 0.2), (0.0, 0.0, 0.0), GREY, bevel=0.02)
    (mesh,) = kit.meshes()
    np.testing.assert_allclose(extent([mesh]), [(-0.3, -0.2, 0.0), (0.3, 0.2, 0.2)], atol=1e-9)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    assert ((normals * (mesh.vertices - (0, 0, 0.1))).sum(1) > 0).all()


def test_a_plate_shows_its_texture_upright_to_minus_y():
    kit = Kit()
    kit.plate(1.0, 0.5, (0.0, 0.0, 0.0), GREY, Material(texture=0))
    (mesh,) = kit.meshes()
    top_left = np.flatnonzero((mesh.vertices[:, 0] < 0) & (mesh.vertices[:, 2] > 0.4))
    np.testing.assert_allclose(mesh.uv[top_left], [(0.0, 0.0)])  # seen from -y, x runs to the right


def test_textures_are_exact_near_by_and_average_far_away(textures):
    texture = np.array([3])
    texel = (np.array([[17.5], [40.5]]) / SIZE).astype(np.float32)
    whole = textures.pyramid[: textures.count * SIZE**2].reshape(textures.count, SIZE, SIZE, 3)[3]
    np.testing.assert_allclose(textures.look_up(texture, texel, np.array([0.0]))[0], whole[40, 17], atol=1e-5)
    far = textures.look_up(texture, texel, np.array([5.0]))[0]
    assert np.abs(far - whole.mean((0, 1))).max() < np.abs(whole - whole.mean((0, 1))).max()
    np.testing.assert_allclose(textures.look_up(texture, texel + 3.0)[0], whole[40, 17], atol=1e-3)  # wraps around


def test_a_far_texture_does_not_sparkle(textures):
    """Lines of a drawer front vary from texel to texel, but hardly where a pixel covers a quarter of the picture."""
    texture = np.full(500, textures.kinds["drawers"][0])
    uv = np.random.default_rng(0).uniform(0, 1, (2, 500)).astype(np.float32)
    near, far = (textures.look_up(texture, uv, np.full(500, step)).std() for step in (0.0, 0.25))
    assert far < 0.5 * near


@pytest.mark.parametrize("name", [*FLOOR_THINGS, *MACHINES])
def test_every_thing_can_be_made_again_and_stands_in_the_room(name, textures):
    thing = {**FLOOR_THINGS, **MACHINES}[name]
    for seed in range(4):
        meshes = thing.make(np.random.default_rng(seed), textures, CEILING)
        again = thing.make(np.random.default_rng(seed), textures, CEILING)
        low, high = extent(meshes)
        np.testing.assert_array_equal(extent(again), (low, high))
        assert np.isfinite([low, high]).all() and low[2] > -0.1 and high[2] < CEILING + 0.01
        assert all(mesh.instance == 0 and mesh.faces.max() < len(mesh.vertices) for mesh in meshes)
        assert max(mesh.faces.shape[0] for mesh in meshes) < 12_000
        if thing.width == 0:
            assert high[2] > CEILING - 0.1  # hangs from the ceiling


def test_a_row_of_stored_things_fits_its_place_but_for_flaps_and_leaning_screens(textures):
    thing = FLOOR_THINGS["stored_things"]
    ends = np.array([extent(thing.make(np.random.default_rng(seed), textures, CEILING)) for seed in range(40)])
    assert np.abs(ends[:, :, 0]).max() < thing.width / 2 + 0.3
    assert np.median(np.abs(ends[:, :, 0])) < thing.width / 2 + 0.05


def test_stored_small_things_lie_on_a_box_or_a_carton(textures, monkeypatch):
    tops, small, box = [], [], Kit.box

    def remembered_box(kit, size, place, *args, **kwargs):
        tops.append(place[2] + size[2])
        box(kit, size, place, *args, **kwargs)

    monkeypatch.setattr(Kit, "box", remembered_box)
    for name in clutter._SMALL:
        monkeypatch.setitem(clutter._SMALL, name, lambda kit, rng, textures, place, heading: small.append(place[2]))
    for seed in range(40):
        tops.clear(), small.clear()
        clutter.stored_things(np.random.default_rng(seed), textures, CEILING)
        assert all(min(abs(z - top) for top in tops) < 0.003 for z in small), seed


@pytest.mark.parametrize("name", WALL_THINGS)
def test_what_hangs_on_walls_stays_on_the_room_s_side(name, textures):
    kit = Kit()
    WALL_THINGS[name].add(kit, np.random.default_rng(1), textures, 0.0)
    low, high = extent(kit.meshes())
    assert low[1] < 0 and high[1] < 0.2 and low[2] > -0.05


@pytest.mark.parametrize("domain", ["or", "everyday"])
def test_furniture_stands_inside_the_room_and_leaves_people_their_place(domain, textures):
    room = np.array([6.0, 5.0, CEILING])
    floor = Floor()
    floor.take(0.0, 0.0, 0.5)
    meshes = place_furniture(textures, floor, room, np.random.default_rng(3), domain)
    tall = [mesh for mesh in meshes if mesh.vertices[:, 2].max() > 0.1]
    assert tall
    vertices = np.concatenate([mesh.vertices for mesh in tall])
    assert (np.abs(vertices[:, :2]) < room[:2] / 2 + 0.6).all()


def test_a_room_is_closed(textures):
    room = np.array([6.0, 5.0, CEILING])
    low, high = extent(room_shell(np.random.default_rng(0), textures, room))
    assert (low[:2] <= -room[:2] / 2).all() and (high[:2] >= room[:2] / 2).all()
    assert low[2] <= 0 and high[2] >= CEILING


def test_lamps_are_seen_where_they_shine(textures):
    room = np.array([6.0, 5.0, CEILING])
    lights, lamps = ceiling_lights(room, np.random.default_rng(0))
    assert len(lights) == 2 and any(mesh.material.emission > 1 for mesh in lamps)
    for seed in range(6):
        head = MACHINES["surgical_lamp"].make(np.random.default_rng(seed), textures, CEILING)[0]
        light = surgical_light(head, np.random.default_rng(0))
        assert (light.power > 0) == (head.material.emission > 0)
        assert light.centre[2] < head.vertices[:, 2].min()


@pytest.mark.parametrize("brightness", [0.01, 1.0, 30.0])
def test_exposure_does_not_depend_on_the_room_s_brightness(brightness):
    scene = np.random.default_rng(0).uniform(0.1, 1.0, (48, 64, 3)).astype(np.float32) * brightness
    means = [expose(scene, np.random.default_rng(seed)).mean() for seed in range(20)]
    assert 100 < np.mean(means) < 130


def test_the_same_sensor_gives_the_same_picture_and_other_noise_from_frame_to_frame():
    scene = np.random.default_rng(0).uniform(0.1, 1.0, (48, 64, 3)).astype(np.float32)
    first, second = (expose(scene, np.random.default_rng(3), np.random.default_rng(frame)) for frame in (1, 2))
    np.testing.assert_array_equal(first, expose(scene, np.random.default_rng(3), np.random.default_rng(1)))
    assert 0 < np.abs(first.astype(int) - second).mean() < 12


def test_a_black_view_stays_a_picture():
    assert expose(np.zeros((48, 64, 3), np.float32), np.random.default_rng(0)).shape == (48, 64, 3)
