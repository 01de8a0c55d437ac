"""Clothes and drapes: outside the skin, ending where they should, hanging below what carries them."""

from __future__ import annotations

import numpy as np
import pytest

from training.synthetic_or.people.bodies import BONE
from training.synthetic_or.people.dressing import dress, hangs
from training.synthetic_or.people.outfits import OR_OUTFITS, sample_outfit
from training.synthetic_or.people.poses import PoseRequest, pose_body
from training.synthetic_or.people.tailor import cut_piece, measures_of
from training.synthetic_or.rendering.cover import cloth_before
from training.synthetic_or.rooms.cameras import Camera, look_at
from training.synthetic_or.scenes.people import clothed
from training.synthetic_or.shapes.drapes import drape_over, screen_drape
from training.synthetic_or.shapes.meshes import Material, vertex_normals


def standing(bank, shape=3):
    return pose_body(bank, shape, PoseRequest("stand", np.zeros(3), 0.0), np.random.default_rng(shape))


@pytest.mark.parametrize("kind", [*OR_OUTFITS, "street", "patient"])
def test_every_outfit_is_a_few_sound_meshes(bank, kind):
    for seed in range(4):
        outfit = sample_outfit(kind, np.random.default_rng(seed))
        meshes = dress(bank, standing(bank, seed), outfit, instance=7)
        assert sum(len(mesh.faces) for mesh in meshes) < 20_000
        for mesh in meshes:
            assert mesh.instance == 7
            assert np.isfinite(mesh.vertices).all() and (mesh.colours >= 0).all()
            assert mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
            assert len(mesh.patterned) == len(mesh.vertices)


def test_the_same_outfit_gives_the_same_clothes(bank):
    first, second = (sample_outfit("gown", np.random.default_rng(5)) for _ in range(2))
    body = standing(bank)
    for a, b in zip(dress(bank, body, first, 1), dress(bank, body, second, 1), strict=True):
        np.testing.assert_array_equal(a.vertices, b.vertices)
        np.testing.assert_array_equal(a.colours, b.colours)


def test_a_sleeve_ends_in_a_straight_line_where_it_is_cut(bank):
    """Halfway down the upper arm: the outermost vertices of the piece lie on that plane, none beyond it."""
    measures = measures_of(bank, 4)
    cuts = [measures.arm_cut(0.5), measures.collar(0.03, 0.07), measures.below(measures.hip_z)]
    piece, _ = cut_piece(measures, cuts, 0.0, np.ones(3), Material(), rounds=0)
    heads = bank.bone_heads[4]
    shoulder, elbow = heads[BONE["left_upper_arm"]], heads[BONE["left_forearm"]]
    axis, length = (elbow - shoulder) / np.linalg.norm(elbow - shoulder), np.linalg.norm(elbow - shoulder)
    on_arm = piece.weights[:, BONE["left_upper_arm"]] > 0.6
    along = (piece.vertices[on_arm] - shoulder) @ axis / length
    assert along.max() == pytest.approx(0.5, abs=0.03)
    assert (along > 0.47).sum() >= 6


def test_cloth_is_outside_the_skin(bank):
    measures = measures_of(bank, 2)
    piece, deep = cut_piece(measures, [measures.leg_cut(1.9), measures.above(measures.hip_z + 0.1)], 0.01, np.ones(3),
                            Material())  # fmt: skip
    skin, normals = measures.rest, vertex_normals(measures.rest, bank.faces)
    legs = np.flatnonzero((measures.leg > 0.2) & (measures.leg < 1.7) & deep)
    # The nearest cloth of each vertex of skin lies on its outer side.
    for vertex in legs[::25]:
        nearest = piece.vertices[np.linalg.norm(piece.vertices - skin[vertex], axis=1).argmin()]
        assert (nearest - skin[vertex]) @ normals[vertex] > -0.004


def test_a_gown_hangs_and_its_person_knows(bank):
    rng = np.random.default_rng(0)
    outfit = sample_outfit("gown", rng)
    request = PoseRequest("stand", np.zeros(3), 0.0)
    person = clothed(bank, 3, standing(bank), request, outfit, "surgeon", 1)
    assert hangs(outfit) and person.hanging is person.dressed[-1]
    knees = person.body.coco[[13, 14], 2].mean()
    assert person.hanging.vertices[:, 2].min() < knees
    sitting = clothed(bank, 3, standing(bank), PoseRequest("sit", np.zeros(3), 0.0), outfit, "surgeon", 1)
    assert sitting.hanging is None


def test_cloth_before_a_joint_is_measured_towards_the_camera(bank):
    """A camera 3 m before the person, at knee height: a gown lies some cm before the knees, scrubs do not hang."""
    body, request = standing(bank), PoseRequest("stand", np.zeros(3), 0.0)
    knees = body.coco[[13, 14]].mean(0)
    pose = look_at(knees + np.array([0.0, -3.0, 0.0]), knees, 0.0)
    camera = Camera((640, 480), 500.0, 500.0, 320.0, 240.0, (0.0,) * 5, pose)
    before = {}
    for kind in ("gown", "scrubs"):
        outfit = sample_outfit(kind, np.random.default_rng(1))
        before[kind] = cloth_before(clothed(bank, 3, body, request, outfit, "nurse", 1), camera)
    assert (before["gown"][[13, 14]] > 0.05).all() and before["gown"].max() < 0.28
    assert (before["gown"][:11] == 0).all()
    assert (before["scrubs"] == 0).all()


def test_a_drape_covers_and_hangs_as_asked():
    rng = np.random.default_rng(1)
    bump = np.column_stack([rng.uniform(-0.3, 0.3, 400), rng.uniform(-0.1, 0.1, 400), np.full(400, 1.05)])
    lying, hanging = drape_over(bump, (-0.9, 0.9, -0.3, 0.3), 0.9, rng, hang=(0.0, 0.3, 0.4, 0.4))
    over = lying.vertices[(np.abs(lying.vertices[:, 0]) < 0.2) & (np.abs(lying.vertices[:, 1]) < 0.05)]
    assert (over[:, 2] > 1.05).all() and lying.vertices[:, 2].min() > 0.9
    side = hanging.vertices[np.abs(hanging.vertices[:, 0]) < 0.5]
    assert side[:, 2].min() == pytest.approx(0.5, abs=0.06)
    lies = hanging.vertices[hanging.vertices[:, 0] < -0.85]
    assert lies[np.abs(lies[:, 1]) < 0.25, 2].min() > 0.85  # nothing hangs where the hang is 0


def test_a_held_up_drape_hangs_between_its_posts():
    cloth, *posts = screen_drape(0.2, 1.0, 1.0, 1.6, np.ones(3) * 0.3, np.random.default_rng(2))
    assert len(posts) == 2 and cloth.vertices[:, 2].min() == pytest.approx(1.0, abs=0.02)
    assert np.ptp(cloth.vertices[:, 1]) == pytest.approx(1.0)
