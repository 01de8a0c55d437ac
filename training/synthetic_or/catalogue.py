"""What can stand in a room, by name: the names that a room file uses, and how often random rooms have each thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.synthetic_or import furniture, garments, machines
from training.synthetic_or.materials import Rng
from training.synthetic_or.meshes import Mesh
from training.synthetic_or.textures import Textures

#: Builds one thing standing around the origin, its front towards -y; the number is the ceiling's height (m).
Builder = Callable[[Rng, Textures, float], list[Mesh]]


@dataclass(frozen=True)
class Thing:
    """A kind of thing.

    Attributes:
        make: Its builder.
        width, depth: Room it needs on the floor (m); 0 for what hangs from the ceiling.
        weight: How often random operating rooms have it, relative to the others; 0: placed by rules of its own.
        at_wall: Stands with its back to a wall.
        everyday: The weight in the everyday domain.
    """

    make: Builder
    width: float
    depth: float
    weight: float = 0.0
    at_wall: bool = False
    everyday: float = 0.0

    def share(self, domain: str) -> float:
        return self.weight if domain == "or" else self.everyday


#: What stands on the floor away from the operating table.
FLOOR_THINGS: dict[str, Thing] = {
    "cart": Thing(furniture.cart, 0.7, 0.6, 3.0, everyday=1.0),
    "rack": Thing(furniture.rack, 1.0, 0.5, 1.5, at_wall=True),
    "instrument_table": Thing(furniture.instrument_table, 1.2, 0.7, 2.0),
    "bin": Thing(furniture.bin_or_bucket, 0.5, 0.5, 2.0),
    "stool": Thing(furniture.stool, 0.5, 0.5, 1.5),
    "iv_pole": Thing(furniture.pole, 0.5, 0.5, 1.2),
    "apron_rack": Thing(garments.apron_rack, 1.3, 0.5, 1.3, at_wall=True),
    "folding_screen": Thing(furniture.screen_wall, 1.0, 0.3, 1.0, at_wall=True),
    "draped_post": Thing(garments.post_with_cap, 0.5, 0.5, 1.2),
    "cabinet": Thing(furniture.cabinet, 2.0, 0.55, 1.5, at_wall=True, everyday=1.0),
}

#: What belongs to the operating table: it stands or hangs beside, around or over it.
MACHINES: dict[str, Thing] = {
    "ct_ring": Thing(machines.ct_ring, 1.9, 0.9),
    "c_arm": Thing(machines.c_arm, 0.8, 2.2),
    "monitor_bank": Thing(machines.monitor_bank, 0.0, 0.0),
    "surgical_lamp": Thing(machines.lamp, 0.0, 0.0),
}
