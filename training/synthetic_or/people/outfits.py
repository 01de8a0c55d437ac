"""Outfits: what people wear, drawn by kind: the colours of real operating rooms, and street clothes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.shapes.meshes import linear

Palette = tuple[tuple[tuple[float, float, float], float], ...]

#: Outfits by role of the operating room; weights are relative.
OR_OUTFITS = {"gown": 0.5, "scrubs": 0.33, "apron": 0.17}

#: sRGB of fabrics and their relative weights: what real operating rooms show (light blue and navy above all).
GOWN_COLOURS: Palette = (
    ((0.76, 0.85, 0.97), 2.0), ((0.55, 0.70, 0.93), 4.0), ((0.32, 0.50, 0.86), 3.0), ((0.66, 0.78, 0.90), 2.0),
    ((0.20, 0.28, 0.62), 2.0), ((0.32, 0.35, 0.58), 2.0), ((0.16, 0.20, 0.48), 1.5), ((0.30, 0.58, 0.55), 1.0),
    ((0.25, 0.50, 0.40), 1.0), ((0.62, 0.82, 0.82), 0.8), ((0.75, 0.75, 0.78), 0.3),
)  # fmt: skip
SCRUB_COLOURS: Palette = (
    ((0.09, 0.13, 0.33), 3.0), ((0.15, 0.25, 0.50), 2.0), ((0.25, 0.45, 0.75), 1.5), ((0.20, 0.45, 0.42), 1.5),
    ((0.45, 0.65, 0.70), 1.0), ((0.52, 0.64, 0.82), 1.2), ((0.40, 0.10, 0.18), 0.4), ((0.35, 0.35, 0.40), 0.6),
    ((0.80, 0.82, 0.85), 0.4),
)  # fmt: skip
CAP_COLOURS: Palette = (
    ((0.74, 0.80, 0.85), 4.0), ((0.85, 0.88, 0.90), 2.0), ((0.45, 0.62, 0.85), 1.5), ((0.30, 0.45, 0.75), 1.0),
    ((0.10, 0.15, 0.40), 0.8), ((0.25, 0.50, 0.45), 1.2), ((0.50, 0.70, 0.75), 1.0),
)  # fmt: skip
MASK_COLOURS: Palette = (((0.92, 0.94, 0.95), 3.0), ((0.60, 0.75, 0.88), 3.0), ((0.55, 0.78, 0.75), 0.8))
GLOVE_COLOURS: Palette = (
    ((0.90, 0.87, 0.80), 3.0), ((0.42, 0.47, 0.85), 3.5), ((0.30, 0.45, 0.80), 1.0), ((0.55, 0.30, 0.20), 0.5),
    ((0.35, 0.50, 0.42), 0.5),
)  # fmt: skip
APRON_COLOURS: Palette = (
    ((0.15, 0.22, 0.50), 3.0), ((0.45, 0.10, 0.15), 1.0), ((0.15, 0.40, 0.30), 1.0), ((0.25, 0.25, 0.30), 1.2),
    ((0.35, 0.45, 0.62), 1.0),
)  # fmt: skip
SKIN = ((0.93, 0.76, 0.66), (0.87, 0.66, 0.54), (0.76, 0.55, 0.43), (0.56, 0.38, 0.28), (0.36, 0.23, 0.17))
HAIR = ((0.10, 0.07, 0.05), (0.20, 0.13, 0.09), (0.38, 0.26, 0.16), (0.62, 0.50, 0.34), (0.55, 0.54, 0.53))


@dataclass(frozen=True, eq=False)
class Outfit:
    """What one person wears. Colours are linear `(3,)`, None where not worn.

    Attributes:
        kind: "gown", "scrubs", "apron", "street" or "patient".
        main, trousers, shoes, skin, hair, cap, mask, gloves, cuffs, apron: Colours.
        legwear: "trousers", "skirt" or "none" (a patient's bare legs).
        jacket: Worn open or closed over `main`.
        bouffant: Whether the cap is a wide, wrinkled, translucent one, not a surgeon's.
        sleeve: Where sleeves end: 0 shoulder, 1 elbow, 2 wrist.
        leg_end: Where trousers end: 1 knee, 2 ankle.
        hem: How far down the gown, skirt or apron reaches: 0 hips, 1 ankles.
        collar_m: Depth of the collar in front.
        hair_length: 0 shaved, 0.3 short, 0.6 to the chin, 0.8 a ponytail.
        beard: Whether there is one.
        eyewear: "glasses", "shield", "loupes" or None.
        thyroid: Whether an apron comes with a collar around the neck.
        print_kind: Of the upper clothes: "plain", "stripes" or "checks".
        looseness: How far clothes stand off, about 1.
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
    jacket: NDArray | None = None
    legwear: str = "trousers"
    bouffant: bool = True
    sleeve: float = 0.6
    leg_end: float = 1.92
    hem: float = 0.75
    collar_m: float = 0.03
    hair_length: float = 0.3
    beard: bool = False
    eyewear: str | None = None
    thyroid: bool = False
    print_kind: str = "plain"
    looseness: float = 1.0
    fold_phase: int = 0


def _choice(palette: Palette, rng: np.random.Generator, odd: float = 0.04) -> NDArray:
    weights = np.array([weight for _, weight in palette])
    colour = np.array(palette[rng.choice(len(palette), p=weights / weights.sum())][0])
    if rng.random() < odd:
        colour = rng.uniform(0.05, 0.95, 3)
    return linear(*(colour + rng.normal(0, 0.025, 3) + rng.normal(0, 0.03)))


def sample_outfit(kind: str, rng: np.random.Generator, team: Outfit | None = None) -> Outfit:
    """An outfit of `kind`; members of a team often share its colours. Raises ValueError for an unknown kind."""
    if kind == "street":
        return _street(rng)
    if kind == "patient":
        return _patient(rng)
    if kind not in OR_OUTFITS:
        raise ValueError(f"outfit: expected one of {(*OR_OUTFITS, 'street', 'patient')}, got {kind!r}")
    return _staff(kind, rng, team)


def _looks(rng: np.random.Generator) -> dict[str, Any]:
    """Skin, hair and what differs between people whatever they wear."""
    skin = np.array(SKIN[rng.choice(len(SKIN), p=[0.3, 0.3, 0.2, 0.1, 0.1])]) + rng.normal(0, 0.03, 3)
    hair = np.array(HAIR[rng.choice(len(HAIR), p=[0.3, 0.3, 0.2, 0.1, 0.1])]) + rng.normal(0, 0.015, 3)
    return {
        "skin": linear(*skin),
        "hair": linear(*hair),
        "hair_length": float(rng.choice([0.0, rng.uniform(0.1, 0.45), rng.uniform(0.5, 1.0)], p=[0.07, 0.55, 0.38])),
        "beard": bool(rng.random() < 0.15),
        "looseness": float(rng.uniform(0.75, 1.35)),
        "fold_phase": int(rng.integers(1 << 30)),
    }


def _staff(kind: str, rng: np.random.Generator, team: Outfit | None) -> Outfit:
    looks = _looks(rng)
    gown = kind == "gown"
    same = team is not None and team.kind == kind and rng.random() < 0.7
    main = team.main if same and team else _choice(GOWN_COLOURS if gown else SCRUB_COLOURS, rng)
    grey_shoes = rng.uniform(0.05, 0.95) + rng.normal(0, 0.05, 3)
    return Outfit(
        kind,
        main=main,
        trousers=_choice(SCRUB_COLOURS, rng) if gown else main * rng.uniform(0.9, 1.05),
        shoes=linear(*grey_shoes) if rng.random() < 0.85 else linear(*rng.uniform(0.1, 0.8, 3)),
        cap=_choice(CAP_COLOURS, rng) if rng.random() < 0.93 else None,
        mask=_choice(MASK_COLOURS, rng, odd=0.01) if rng.random() < 0.87 else None,
        gloves=_choice(GLOVE_COLOURS, rng, odd=0.01) if rng.random() < (0.88 if gown else 0.3) else None,
        cuffs=linear(0.92, 0.92, 0.9) if gown else None,
        apron=_choice(APRON_COLOURS, rng) if kind == "apron" else None,
        bouffant=bool(rng.random() < 0.62),
        sleeve=1.9 if gown or rng.random() < 0.12 else float(rng.uniform(0.5, 0.8)),
        hem=float(rng.uniform(0.68, 0.93) if gown else rng.uniform(0.32, 0.52)),
        collar_m=float(rng.uniform(0.0, 0.02) if gown else rng.uniform(0.05, 0.1)),
        eyewear=_eyewear(rng, gown),
        thyroid=bool(rng.random() < 0.6),
        **looks,
    )  # fmt: skip


def _eyewear(rng: np.random.Generator, gown: bool) -> str | None:
    kind = rng.random()
    if kind < 0.2:
        return "glasses"
    if kind < 0.25:
        return "shield"
    return "loupes" if gown and kind < 0.3 else None


def _patient(rng: np.random.Generator) -> Outfit:
    looks = _looks(rng)
    return Outfit(
        "patient",
        main=linear(*(np.array([0.72, 0.8, 0.9]) + rng.normal(0, 0.08, 3))),
        trousers=looks["skin"],
        shoes=looks["skin"],
        cap=_choice(CAP_COLOURS, rng) if rng.random() < 0.65 else None,
        mask=_choice(MASK_COLOURS, rng) if rng.random() < 0.3 else None,
        legwear="none",
        sleeve=float(rng.uniform(0.4, 0.8)),
        **looks,
    )


def _street(rng: np.random.Generator) -> Outfit:
    looks = _looks(rng)
    cloth = linear(*_fabric(rng))
    legs = rng.choice(["jeans", "dark", "any"], p=[0.35, 0.35, 0.3])
    trousers = {
        "jeans": np.array([0.22, 0.30, 0.45]) * rng.uniform(0.6, 1.5),
        "dark": np.full(3, rng.uniform(0.05, 0.3)),
        "any": _fabric(rng),
    }[str(legs)]
    legwear = "skirt" if rng.random() < 0.16 else "trousers"
    return Outfit(
        "street",
        main=cloth,
        trousers=linear(*(trousers + rng.normal(0, 0.03, 3))),
        shoes=linear(*(rng.uniform(0.03, 0.9) + rng.normal(0, 0.08, 3))),
        jacket=linear(*_fabric(rng)) if rng.random() < 0.28 else None,
        cap=linear(*_fabric(rng)) if rng.random() < 0.12 else None,
        mask=_choice(MASK_COLOURS, rng) if rng.random() < 0.04 else None,
        legwear=legwear,
        bouffant=False,
        sleeve=float(rng.choice([0.1, rng.uniform(0.4, 0.8), 1.9], p=[0.1, 0.45, 0.45])),
        leg_end=float(rng.uniform(0.55, 1.0) if rng.random() < 0.18 else rng.uniform(1.85, 1.97)),
        hem=float(rng.uniform(0.3, 0.8)),
        collar_m=float(rng.uniform(0.0, 0.09)),
        eyewear="glasses" if rng.random() < 0.2 else None,
        print_kind=str(rng.choice(["plain", "stripes", "checks"], p=[0.68, 0.2, 0.12])),
        **looks,
    )


def _fabric(rng: np.random.Generator) -> NDArray:
    """sRGB of a street garment: often muted, sometimes vivid."""
    colour = rng.uniform(0.05, 0.95, 3)
    return colour if rng.random() < 0.4 else colour.mean() + (colour - colour.mean()) * rng.uniform(0.05, 0.5)
