"""Outfits: what people wear, as painted and inflated body surfaces plus the hanging part of a gown or apron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or import bodies as b
from training.synthetic_or.gowns import loft
from training.synthetic_or.meshes import Material, Mesh, linear, surface, vertex_normals

#: Outfits by role of the operating room; weights are relative.
OR_OUTFITS = {"gown": 0.5, "scrubs": 0.33, "apron": 0.17}

#: sRGB of fabrics and their relative weights: what real operating rooms show (light blue and navy above all).
GOWN_COLOURS = (
    ((0.55, 0.70, 0.93), 4.0), ((0.32, 0.50, 0.86), 4.0), ((0.66, 0.78, 0.90), 2.5), ((0.20, 0.28, 0.62), 2.0),
    ((0.08, 0.12, 0.34), 2.0), ((0.30, 0.58, 0.55), 1.2), ((0.25, 0.50, 0.40), 1.2), ((0.62, 0.82, 0.82), 1.0),
    ((0.75, 0.75, 0.78), 0.5),
)  # fmt: skip
SCRUB_COLOURS = (
    ((0.09, 0.13, 0.33), 3.0), ((0.15, 0.25, 0.50), 2.0), ((0.25, 0.45, 0.75), 1.5), ((0.20, 0.45, 0.42), 1.5),
    ((0.45, 0.65, 0.70), 1.0), ((0.40, 0.10, 0.18), 0.6), ((0.35, 0.35, 0.40), 0.6), ((0.80, 0.82, 0.85), 0.5),
)  # fmt: skip
CAP_COLOURS = (
    ((0.70, 0.78, 0.84), 4.0), ((0.85, 0.88, 0.90), 2.0), ((0.30, 0.45, 0.75), 2.0), ((0.10, 0.15, 0.40), 1.5),
    ((0.25, 0.50, 0.45), 1.5), ((0.50, 0.70, 0.75), 1.0),
)  # fmt: skip
MASK_COLOURS = (((0.92, 0.94, 0.95), 3.0), ((0.60, 0.75, 0.88), 3.0), ((0.55, 0.78, 0.75), 1.0))
GLOVE_COLOURS = (
    ((0.88, 0.84, 0.76), 3.0), ((0.45, 0.52, 0.85), 2.5), ((0.55, 0.25, 0.18), 1.2), ((0.30, 0.45, 0.35), 1.0),
    ((0.60, 0.20, 0.20), 1.0),
)  # fmt: skip
APRON_COLOURS = (
    ((0.15, 0.22, 0.50), 3.0),
    ((0.45, 0.10, 0.15), 1.0),
    ((0.15, 0.40, 0.30), 1.0),
    ((0.25, 0.25, 0.30), 1.0),
)
SKIN = ((0.93, 0.76, 0.66), (0.87, 0.66, 0.54), (0.76, 0.55, 0.43), (0.56, 0.38, 0.28), (0.36, 0.23, 0.17))
HAIR = ((0.10, 0.07, 0.05), (0.25, 0.16, 0.10), (0.45, 0.32, 0.20), (0.65, 0.52, 0.35), (0.55, 0.54, 0.53))


@dataclass(frozen=True)
class Outfit:
    """What one person wears.

    Attributes:
        kind: "gown", "scrubs", "apron", "street" or "patient".
        main, trousers, cap, mask, gloves, shoes, cuffs, skin, hair: linear colours `(3,)`; None where not worn.
        bouffant: Whether the cap is a wide, wrinkled one.
        long_sleeves: Whether the forearms are covered.
        hem: How far down the gown or apron reaches: 0 hips, 1 floor.
        fold_phase: Seed of the folds.
    """

    kind: str
    main: NDArray
    trousers: NDArray
    shoes: NDArray
    skin: NDArray
    hair: NDArray
    cap: NDArray | None = None
    mask: NDArray | None = None
    gloves: NDArray | None = None
    cuffs: NDArray | None = None
    apron: NDArray | None = None
    bouffant: bool = True
    long_sleeves: bool = True
    hem: float = 0.75
    fold_phase: int = 0


def _choice(palette: tuple[tuple[tuple[float, float, float], float], ...], rng: np.random.Generator) -> NDArray:
    weights = np.array([weight for _, weight in palette])
    colour = np.array(palette[rng.choice(len(palette), p=weights / weights.sum())][0])
    if rng.random() < 0.06:
        colour = rng.uniform(0.05, 0.95, 3)
    return linear(*(colour + rng.normal(0, 0.035, 3) + rng.normal(0, 0.03)))


def sample_outfit(kind: str, rng: np.random.Generator, team: Outfit | None = None) -> Outfit:
    """An outfit of `kind`; members of a team often share its colours. Raises ValueError for an unknown kind."""
    skin = linear(*(np.array(SKIN[rng.choice(len(SKIN), p=[0.3, 0.3, 0.2, 0.1, 0.1])]) + rng.normal(0, 0.03, 3)))
    hair = linear(*(np.array(HAIR[rng.integers(len(HAIR))]) + rng.normal(0, 0.03, 3)))
    phase = int(rng.integers(1 << 30))
    if kind == "street":
        tops, legs = rng.uniform(0.05, 0.95, 3), rng.choice([rng.uniform(0.05, 0.35), rng.uniform(0.3, 0.8)])
        trousers, shoes = linear(*(legs + rng.normal(0, 0.06, 3))), linear(*rng.uniform(0.02, 0.8, 3))
        sleeves = bool(rng.random() < 0.55)
        return Outfit(kind, linear(*tops), trousers, shoes, skin, hair, long_sleeves=sleeves, fold_phase=phase)
    if kind == "patient":
        return Outfit(
            kind, linear(*rng.uniform(0.6, 0.95, 3)), skin, skin, skin, hair,
            cap=_choice(CAP_COLOURS, rng) if rng.random() < 0.5 else None,
            mask=_choice(MASK_COLOURS, rng) if rng.random() < 0.3 else None, long_sleeves=False, fold_phase=phase,
        )  # fmt: skip
    if kind not in OR_OUTFITS:
        raise ValueError(f"outfit: expected one of {(*OR_OUTFITS, 'street', 'patient')}, got {kind!r}")
    same = team is not None and team.kind == kind and rng.random() < 0.6
    main = team.main if same and team else _choice(GOWN_COLOURS if kind == "gown" else SCRUB_COLOURS, rng)
    gown = kind == "gown"
    return Outfit(
        kind,
        main=main,
        trousers=_choice(SCRUB_COLOURS, rng) if gown else main * rng.uniform(0.85, 1.1),
        shoes=linear(*(rng.uniform(0.05, 0.95) + rng.normal(0, 0.08, 3))),
        skin=skin,
        hair=hair,
        cap=_choice(CAP_COLOURS, rng) if rng.random() < 0.92 else None,
        mask=_choice(MASK_COLOURS, rng) if rng.random() < 0.85 else None,
        gloves=_choice(GLOVE_COLOURS, rng) if rng.random() < (0.85 if gown else 0.3) else None,
        cuffs=linear(0.92, 0.92, 0.9) if gown and rng.random() < 0.5 else None,
        apron=_choice(APRON_COLOURS, rng) if kind == "apron" else None,
        bouffant=bool(rng.random() < 0.6),
        long_sleeves=gown or bool(rng.random() < 0.15),
        hem=rng.uniform(0.55, 0.9) if gown else rng.uniform(0.3, 0.55),
        fold_phase=phase,
    )


def dress(bank: b.BodyBank, body: b.PosedBody, outfit: Outfit, instance: int, skirt: bool = True) -> list[Mesh]:
    """The dressed person's surfaces; `skirt=False` leaves out the part below the hips (sitting, lying)."""
    rng = np.random.default_rng(outfit.fold_phase)
    normals = vertex_normals(body.vertices, bank.faces)
    colours, inflate = _paint(bank, body, outfit, rng)
    wrinkles = 1.0 + 0.25 * np.sin(body.vertices @ rng.normal(0, 22, 3) + rng.uniform(0, 6))
    vertices = body.vertices + normals * (inflate * wrinkles)[:, None]
    head = body.coco[3:5].mean(0) + (body.coco[3:5].mean(0) - body.coco[0]) * 0.1
    hair = bank.regions == b.HAIR
    vertices[hair] = _cap(vertices[hair], head, outfit, rng)
    cloth = Material(noise=0.06, folds=0.35, fold_scale=(9.0, 9.0, 4.0), gloss=0.03)
    meshes = [surface(vertices, bank.faces, colours, cloth)]
    colour = outfit.main if outfit.kind == "gown" else outfit.apron
    if skirt and colour is not None:
        meshes.append(loft(bank, body, colour, outfit.hem, rng, sleeveless=outfit.kind == "apron"))
    return [_as_instance(mesh, instance) for mesh in meshes]


def _as_instance(mesh: Mesh, instance: int) -> Mesh:
    return Mesh(mesh.vertices, mesh.faces, mesh.colours, mesh.uv, mesh.material, instance)


def _paint(bank: b.BodyBank, body: b.PosedBody, outfit: Outfit, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Vertex colours `(V, 3)` and outward offsets `(V,)` in metres."""
    regions = bank.regions
    colours = np.broadcast_to(outfit.skin, (len(regions), 3)).copy()
    inflate = np.zeros(len(regions))
    loose = {"gown": 0.028, "scrubs": 0.016, "apron": 0.016, "street": 0.012, "patient": 0.012}[outfit.kind]

    def cover(region: int, colour: NDArray | None, offset: float) -> None:
        if colour is not None:
            colours[regions == region] = colour
            inflate[regions == region] = offset

    cover(b.TORSO, outfit.main, loose)
    cover(b.UPPER_ARM, outfit.main, loose)
    if outfit.long_sleeves:
        cover(b.FOREARM, outfit.main, loose * 0.9)
    cover(b.HIP, outfit.trousers, loose * 0.8)
    cover(b.SHIN, outfit.trousers, loose * 0.9)
    cover(b.FOOT, outfit.shoes, 0.012)
    cover(b.HAND, outfit.gloves, 0.003)
    cover(b.HAIR, outfit.hair if outfit.cap is None else outfit.cap, 0.0)
    cover(b.MASK, outfit.mask, 0.012)
    colours[regions == b.EYE] = linear(0.15, 0.12, 0.10)
    if outfit.apron is not None:
        cover(b.TORSO, outfit.apron, 0.026)
    if outfit.cuffs is not None:
        _cuffs(bank, body, outfit.cuffs, colours)
    if outfit.kind == "scrubs" and rng.random() < 0.6:
        _v_neck(bank, body, outfit, colours)
    return colours, inflate


def _cuffs(bank: b.BodyBank, body: b.PosedBody, colour: NDArray, colours: NDArray) -> None:
    for wrist in (9, 10):
        near = np.linalg.norm(body.vertices - body.coco[wrist], axis=1) < 0.085
        colours[near & (bank.regions == b.FOREARM)] = colour


def _v_neck(bank: b.BodyBank, body: b.PosedBody, outfit: Outfit, colours: NDArray) -> None:
    throat = body.coco[[5, 6]].mean(0)
    near = np.linalg.norm(body.vertices - throat, axis=1) < 0.10
    forward = body.bone_rotations[b.BONE["chest"]] @ np.array([0.0, -1.0, 0.0])
    front = (body.vertices - throat) @ forward > 0.02
    colours[near & front & (bank.regions == b.TORSO)] = outfit.skin


def _cap(points: NDArray, head: NDArray, outfit: Outfit, rng: np.random.Generator) -> NDArray:
    """Hair and caps stand off the skull: bouffants wide and wrinkled, skull caps close."""
    outward = points - head
    distance = np.linalg.norm(outward, axis=1, keepdims=True)
    outward = outward / np.maximum(distance, 1e-6)
    if outfit.cap is not None and outfit.bouffant:
        waves = sum(np.sin(outward @ rng.normal(0, 14, 3) + rng.uniform(0, 6)) for _ in range(3))
        offset = rng.uniform(0.018, 0.035) + 0.005 * np.asarray(waves)
    else:
        offset = np.full(len(points), 0.008 if outfit.cap is not None else rng.uniform(0.005, 0.03))
    return points + outward * offset[:, None]
