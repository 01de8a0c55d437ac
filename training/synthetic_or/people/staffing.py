"""Who is there, what they wear and what covers the table where a room file says so; elsewhere drawn as in any room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.synthetic_or.people.outfits import OR_OUTFITS, Outfit, sample_outfit
from training.synthetic_or.shapes.drapes import drape_colour

#: Number of staff in an operating room and how often.
_NUMBERS = {0: 0.04, 1: 0.12, 2: 0.2, 3: 0.24, 4: 0.2, 5: 0.12, 6: 0.08}
_PATIENT = 0.6
_SHARE_AT_TABLE = 0.58


@dataclass(frozen=True)
class OutfitChoice:
    """What people of one role may wear.

    Attributes:
        kinds: Kind of outfit -> how likely; empty: as everywhere.
        colours: Garment -> linear colours `(3,)` to choose from: gown, scrubs, cap, mask, gloves, apron.
    """

    kinds: Mapping[str, float] = field(default_factory=dict)
    colours: Mapping[str, tuple[NDArray, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Staffing:
    """How many people, how many of them at the table, what they wear by role, and the sheets over table and patient.

    None, roles that are not named and no drapes: as in any room.

    Attributes:
        numbers: Fewest and most people.
        at_table: Share of them at the table.
        patient_probability: That somebody lies on it.
        outfits: By role.
        drapes: Linear colours `(3,)` of the sheets.
        drape_hang: Shortest and longest that a sheet hangs down at the table's long sides, m.
    """

    numbers: tuple[int, int] | None = None
    at_table: float | None = None
    patient_probability: float | None = None
    outfits: Mapping[str, OutfitChoice] = field(default_factory=dict)
    drapes: tuple[NDArray, ...] = ()
    drape_hang: tuple[float, float] | None = None

    def sample_number(self, rng: np.random.Generator) -> int:
        if self.numbers is not None:
            return int(rng.integers(self.numbers[0], self.numbers[1] + 1))
        return int(rng.choice(list(_NUMBERS), p=list(_NUMBERS.values())))

    def sample_patient(self, rng: np.random.Generator) -> bool:
        return bool(rng.random() < (_PATIENT if self.patient_probability is None else self.patient_probability))

    def sample_at_table(self, rng: np.random.Generator) -> bool:
        return bool(rng.random() < (_SHARE_AT_TABLE if self.at_table is None else self.at_table))

    def sample_hang(self, rng: np.random.Generator, usual: tuple[float, float]) -> float:
        """How far a sheet hangs down at the table's long sides (m): between `usual`, where a room has no own range."""
        return float(rng.uniform(*(self.drape_hang or usual)))

    def sample_drape(self, rng: np.random.Generator) -> NDArray:
        """Linear colour `(3,)` of the sheets over table and patient."""
        return self.drapes[rng.integers(len(self.drapes))] if self.drapes else drape_colour(rng)

    def sample_outfit(self, role: str, rng: np.random.Generator, team: Outfit | None) -> Outfit:
        """An outfit for `role`; members of a `team` often share its colours."""
        choice = self.outfits.get(role, OutfitChoice())
        kinds = choice.kinds or OR_OUTFITS
        weights = np.array(list(kinds.values()))
        outfit = sample_outfit(str(rng.choice(list(kinds), p=weights / weights.sum())), rng, team)
        return _in_colours(outfit, choice.colours, rng)


#: What random rooms have.
AS_USUAL = Staffing()


def _in_colours(outfit: Outfit, colours: Mapping[str, tuple[NDArray, ...]], rng: np.random.Generator) -> Outfit:
    drawn = {garment: some[rng.integers(len(some))] for garment, some in colours.items() if some}
    worn: dict[str, Any] = {garment: drawn[garment] for garment in ("cap", "mask", "gloves") if garment in drawn}
    if outfit.kind == "gown":
        worn |= {"main": drawn["gown"]} if "gown" in drawn else {}
        worn |= {"trousers": drawn["scrubs"]} if "scrubs" in drawn else {}
    else:
        worn |= {"main": drawn["scrubs"], "trousers": drawn["scrubs"]} if "scrubs" in drawn else {}
        worn |= {"apron": drawn["apron"]} if "apron" in drawn and outfit.kind == "apron" else {}
    return replace(outfit, **worn)
