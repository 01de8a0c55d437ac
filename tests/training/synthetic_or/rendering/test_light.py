"""Soft shadows, silhouettes, glass, polish and cloth on scenes whose picture is known, and the memory they take."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.synthetic_or.rendering.renderer import Rendered, Renderer
from training.synthetic_or.rooms.cameras import Camera, look_at
from training.synthetic_or.rooms.lights import Light
from training.synthetic_or.scenes.people import Floor
from training.synthetic_or.scenes.scene import Scene, sample_scene
from training.synthetic_or.shapes.meshes import Material, Mesh, box, grid_faces, surface
from training.synthetic_or.shapes.noise import Noise
from training.synthetic_or.shapes.textures import make_textures

PLAIN = Material(noise=0.0, gloss=0.0)
GREY, RED = np.full(3, 0.5), np.array([0.8, 0.05, 0.05])
LAMP = Light(np.array([1.0, 0.0, 2.5]), np.array([0.3, 0.3, 0.0]), 1.0, np.ones(3))


def sheet(size: float = 5.0, material: Material = PLAIN, height: float = 0.0, count: int = 2) -> Mesh:
    side = np.linspace(-size, size, count)
    x, y = np.meshgrid(side, side)
    corners = np.stack([x.ravel(), y.ravel(), np.full(count**2, height)], axis=1)
    return surface(corners, grid_faces(count, count), GREY, material)


def scene(meshes: list[Mesh], lights: tuple[Light, ...] = ()) -> Scene:
    return Scene(meshes, [], list(lights), np.ones(3), np.array([10.0, 10, 5]), np.zeros(3), Floor())


def from_above(size: tuple[int, int] = (320, 240)) -> Camera:
    """At 3 m, straight down; x to the right, y up in the picture."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = 3.0
    return Camera(size, size[0] * 0.75, size[0] * 0.75, size[0] / 2, size[1] / 2, (0.0,) * 5, pose)


def render(content: Scene, camera: Camera) -> Rendered:
    return Renderer(content, make_textures(per_kind=1), Noise()).render(camera, np.random.default_rng(0))


def pixel(camera: Camera, *point: float) -> tuple[int, int]:
    """Row and column that show a point of the room."""
    column, row = camera.project(camera.camera_points_from_room(np.array([point])))[0]
    return int(row), int(column)


def light_on_floor(camera: Camera, *more: Mesh) -> np.ndarray:
    """`(H, W)` what the lamp adds on the floor under `more`, as a share of what it would add without."""
    dark, free, now = (
        render(scene([sheet(), *things], lights), camera).linear_rgb[..., 0]
        for things, lights in (([], ()), ([], (LAMP,)), (more, (LAMP,)))
    )
    return (now - dark) / (free - dark)


@pytest.mark.parametrize("size", [(160, 120), (320, 240)])
def test_shadows_are_dark_inside_soft_at_the_edge_and_absent_outside(size):
    """The plate spans 1.0 to 1.8 m at 1.5 m, the lamp 0.7 to 1.3 m at 2.5 m: half shadow from 0.55 to 1.45 m."""
    camera = from_above(size)
    plate = box((0.8, 0.8, 0.02), GREY, PLAIN).moved(offset=(1.4, 0.0, 1.5))
    share = light_on_floor(camera, plate)
    row, _ = pixel(camera, 0.0, 0.0, 0.0)
    outside, middle, inside = (share[row, pixel(camera, x, 0.0, 0.0)[1]] for x in (0.35, 1.0, 1.7))
    assert outside == pytest.approx(1.0, abs=0.01) and inside == pytest.approx(0.0, abs=0.01)
    assert 0.3 < middle < 0.7
    edge = share[row, pixel(camera, 0.7, 0.0, 0.0)[1] : pixel(camera, 1.3, 0.0, 0.0)[1]]
    assert ((edge > 0.02) & (edge < 0.98)).all()
    assert np.abs(np.diff(edge)).max() < 0.25  # without grain


def test_shadows_do_not_leak_over_edges():
    """A post in full light over a floor in full shadow keeps its light up to its very edge."""
    camera = from_above()
    post = box((0.2, 0.2, 1.8), GREY, PLAIN).moved(offset=(0.3, 0.0, 0.0))
    lamp = replace(LAMP, centre=np.array([0.3, 0.0, 2.9]), half=np.array([0.02, 0.02, 0.0]))
    roof = [box((0.6, 1.8, 0.02), GREY, PLAIN).moved(offset=(x, 0.0, 1.0)) for x in (-0.11, 0.71)]
    picture = render(scene([sheet(), post, *roof], (lamp,)), camera)
    top = np.abs(picture.depth_m - 1.2) < 1e-3
    inside = top & (np.roll(top, 2, 1) & np.roll(top, -2, 1) & np.roll(top, 2, 0) & np.roll(top, -2, 0))
    rim = top & ~inside
    light = picture.linear_rgb[..., 0]
    assert np.median(light[rim]) == pytest.approx(np.median(light[inside]), rel=0.03)


def test_silhouettes_are_smooth_and_depth_stays_exact():
    camera = from_above()
    tilted = box((0.6, 0.6, 0.5), np.ones(3), PLAIN).moved(np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]))
    picture = render(scene([sheet(), tilted]), camera)
    light = picture.linear_rgb[..., 0]
    lid, floor = np.abs(picture.depth_m - 2.5) < 1e-4, np.abs(picture.depth_m - 3.0) < 1e-4
    assert (lid.sum() / lid.size) == pytest.approx((0.6 / 2.5) ** 2 * 0.75**2 * 4 / 3, rel=0.02)
    between = (light > 0.55) & (light < 0.95)
    assert 60 < between.sum() < 0.05 * light.size
    beside = np.roll(lid, 1, 0) | np.roll(lid, -1, 0) | np.roll(lid, 1, 1) | np.roll(lid, -1, 1)
    np.testing.assert_allclose(light[floor & ~beside], 0.5, atol=1e-4)


@pytest.mark.parametrize(("alpha", "depth_m"), [(0.2, 3.0), (0.7, 2.0)])
def test_glass_shows_what_is_behind_and_casts_no_shadow(alpha, depth_m):
    glass = sheet(0.4, replace(PLAIN, alpha=alpha), height=1.0)
    glass = replace(glass, colours=np.zeros_like(glass.colours), instance=3)
    camera = from_above()
    picture, bare = (render(scene([sheet(), *more], (LAMP,)), camera) for more in ([glass], []))
    middle, shadow = pixel(camera, 0.0, 0.0, 1.0), pixel(camera, -1.0, 0.0, 0.0)
    assert picture.depth_m[middle] == pytest.approx(depth_m, abs=1e-4)
    assert picture.instances[middle] == (3 if alpha > 0.5 else 0)
    assert picture.linear_rgb[middle] == pytest.approx(bare.linear_rgb[middle] * (1 - alpha), rel=0.03)
    assert picture.linear_rgb[shadow] == pytest.approx(bare.linear_rgb[shadow], rel=0.01)


def test_polished_floors_mirror_what_stands_on_them():
    wall = box((4.0, 0.1, 2.0), RED, PLAIN).moved(offset=(0.0, 2.0, 0.0))
    pose = look_at(np.array([0.0, -2.0, 1.5]), np.array([0.0, 1.0, 0.3]), 0.0)
    camera = Camera((160, 120), 120.0, 120.0, 80.0, 60.0, (0.0,) * 5, pose)
    dull, polished = (
        render(scene([sheet(material=replace(PLAIN, mirror=mirror)), wall]), camera).linear_rgb for mirror in (0, 0.2)
    )
    near_wall = pixel(camera, 0.0, 1.2, 0.0)
    assert dull[near_wall] == pytest.approx(np.full(3, 0.5), abs=1e-3)
    assert polished[near_wall][0] > 1.2 * polished[near_wall][1]
    on_wall = pixel(camera, 0.0, 1.95, 1.0)
    np.testing.assert_array_equal(polished[on_wall], dull[on_wall])


def test_sheen_shows_at_grazing_angles_only():
    camera = Camera((160, 120), 60.0, 60.0, 80.0, 60.0, (0.0,) * 5, from_above().room_from_camera)
    plain, silky = (render(scene([sheet(8.0, replace(PLAIN, sheen=s))]), camera).linear_rgb[..., 0] for s in (0, 0.5))
    assert silky[60, 80] == pytest.approx(plain[60, 80], rel=1e-3)
    assert silky[0, 0] > 1.02 * plain[0, 0]


def test_wrinkles_shade_cloth_and_move_with_its_pattern():
    cloth = sheet(1.0, replace(PLAIN, folds=0.3, wrinkle=0.5, noise=0.2), height=0.5, count=20)
    cloth = replace(cloth, pattern=cloth.vertices.copy())
    camera = from_above((160, 120))
    step = np.array([0.5, 0.0, 0.0])
    moved_pose = camera.room_from_camera.copy()
    moved_pose[:3, 3] += step
    here = render(scene([cloth]), camera).linear_rgb
    there = render(scene([cloth.moved(offset=step)]), replace(camera, room_from_camera=moved_pose)).linear_rgb
    loose = render(
        scene([replace(cloth.moved(offset=step), pattern=None)]), replace(camera, room_from_camera=moved_pose)
    ).linear_rgb
    assert here[..., 0].std() > 0.02
    np.testing.assert_allclose(there, here, atol=0.02)
    assert np.abs(loose - here).max() > 0.05


def test_the_same_scene_gives_the_same_bytes_whatever_was_rendered_before(bank):
    textures, noise = make_textures(per_kind=1), Noise()
    content = sample_scene("or", bank, textures, np.random.default_rng(4))
    camera = Camera((160, 120), 100.0, 100.0, 80.0, 60.0, (0.0,) * 5, look_at(np.array([2.0, 2, 2]), np.zeros(3), 0))
    first = Renderer(content, textures, noise).render(camera, np.random.default_rng(1))
    again = Renderer(content, textures, noise)
    again.render(from_above(), np.random.default_rng(2))
    second = again.render(camera, np.random.default_rng(1))
    for name in ("linear_rgb", "depth_m", "instances"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_a_glimpse_has_the_geometry_without_the_light():
    content = scene([sheet(), box((0.5, 0.5, 0.5), GREY, PLAIN)], (LAMP,))
    renderer = Renderer(content, make_textures(per_kind=1), Noise())
    glimpse, rendered = renderer.glimpse(from_above()), renderer.render(from_above(), np.random.default_rng(0))
    for name in ("depth_m", "instances", "distance_m"):
        np.testing.assert_array_equal(getattr(glimpse, name), getattr(rendered, name))
    assert (glimpse.linear_rgb == 0).all()


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux' memory figures")
def test_memory_stays_flat_over_many_scenes(bank):
    """Four scenes again and again: one kept scene in Embree would take 10 MB and more."""
    textures, noise = make_textures(per_kind=1), Noise()
    camera = Camera((64, 64), 40.0, 40.0, 32.0, 32.0, (0.0,) * 5, look_at(np.array([2.0, 2, 2]), np.zeros(3), 0))
    after = []
    for number in range(40):
        content = sample_scene("or", bank, textures, np.random.default_rng(number % 4))
        Renderer(content, textures, noise).render(camera, np.random.default_rng(0))
        if number in (11, 39):
            del content
            gc.collect()
            after.append(resident_mb())
    assert after[1] - after[0] < 60
