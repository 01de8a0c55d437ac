"""What can stand in a room, by name: the names that a room file uses, and how often random rooms have each thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.synthetic_or.rooms import clutter, devices, furniture, garments, machines, office
from training.synthetic_or.shapes.materials import Rng
from training.synthetic_or.shapes.meshes import Mesh
from training.synthetic_or.shapes.textures import Textures

#: Builds one thing standing around the origin, its front towards -y; the number is the ceiling's height (m).
Builder = Callable[[Rng, Textures, float], list[Mesh]]


@dataclass(frozen=True)
class Thing:
    """A kind of thing.

    Attributes:
        make: Its builder.
        width, depth: Room it needs on the floor (m); 0 for what hangs from the ceiling.
        weight: How often random operating rooms have it, relative to the others; 0: by rules of its own or in
            room files alone.
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
    # Medical, free-standing.
    "cart": Thing(furniture.cart, 0.65, 0.6, 2.5),
    "instrument_table": Thing(furniture.instrument_table, 1.2, 0.7, 2.2),
    "bin": Thing(furniture.bin_or_bucket, 0.5, 0.5, 2.0, everyday=0.8),
    "stool": Thing(furniture.stool, 0.55, 0.55, 1.5, everyday=0.5),
    "iv_pole": Thing(furniture.pole, 0.55, 0.55, 1.6),
    "lead_shield": Thing(furniture.lead_shield, 0.9, 0.6, 0.8),
    "draped_post": Thing(garments.post_with_cap, 0.5, 0.5, 0.9, everyday=0.3),
    "draped_machine": Thing(devices.draped_machine, 0.8, 0.7, 0.8),
    "microscope": Thing(devices.microscope, 0.8, 1.4, 0.5),
    "control_console": Thing(devices.control_console, 0.8, 0.9, 0.7),
    "step_stool": Thing(devices.step_stool, 0.5, 0.35, 0.7),
    "wheelchair": Thing(devices.wheelchair, 0.65, 0.9, 0.5),
    "swivel_chair": Thing(office.swivel_chair, 0.6, 0.6, 1.2, everyday=1.2),
    "draped_chair": Thing(garments.draped_chair, 0.6, 0.6, 0.5, everyday=0.8),
    # Medical, along the walls.
    "rack": Thing(furniture.rack, 1.2, 0.5, 1.3, at_wall=True),
    "device_rack": Thing(furniture.device_rack, 1.2, 0.55, 1.8, at_wall=True),
    "apron_rack": Thing(garments.apron_rack, 1.3, 0.5, 1.5, at_wall=True),
    "folding_screen": Thing(furniture.folding_screen, 1.2, 0.45, 1.2, at_wall=True),
    "cabinet": Thing(furniture.cabinet, 1.6, 0.5, 2.6, at_wall=True, everyday=1.0),
    "anaesthesia_machine": Thing(devices.anaesthesia_machine, 1.0, 0.9, 1.0, at_wall=True),
    "ultrasound": Thing(devices.ultrasound, 0.6, 0.8, 1.0, at_wall=True),
    "stretcher": Thing(devices.stretcher, 2.1, 0.85, 0.7, at_wall=True),
    "gas_bottles": Thing(devices.gas_bottles, 0.8, 0.35, 0.6, at_wall=True),
    "pile": Thing(clutter.pile, 0.9, 0.6, 1.6, at_wall=True, everyday=1.0),
    "stored_things": Thing(clutter.stored_things, clutter.STORED_ROW_M, 0.7, at_wall=True),
    "desk": Thing(office.desk, 1.5, 0.9, 1.3, at_wall=True, everyday=1.5),
    # Offices and homes.
    "chair": Thing(office.chair, 0.5, 0.5, 0.3, everyday=1.5),
    "plant": Thing(office.plant, 0.6, 0.6, everyday=1.0),
    "floor_lamp": Thing(office.floor_lamp, 0.4, 0.4, everyday=1.0),
    "dining_table": Thing(office.dining_table, 1.8, 1.8, everyday=1.0),
    "sofa": Thing(office.sofa, 2.0, 0.9, everyday=1.2, at_wall=True),
    "bookshelf": Thing(office.bookshelf, 1.2, 0.35, 0.3, everyday=1.5, at_wall=True),
    "kitchen": Thing(office.kitchen, 2.0, 0.6, everyday=0.8, at_wall=True),
    "fridge": Thing(office.fridge, 0.7, 0.65, 0.2, everyday=0.6, at_wall=True),
    "bed": Thing(office.bed, 1.5, 2.0, everyday=0.6, at_wall=True),
    "television": Thing(office.television, 1.4, 0.45, everyday=0.8, at_wall=True),
    "shop_shelf": Thing(office.counter, 1.8, 0.5, everyday=0.8, at_wall=True),
}

#: What belongs to the operating table: it stands or hangs beside, around or over it.
MACHINES: dict[str, Thing] = {
    "ct_ring": Thing(machines.ct_ring, 1.9, 0.9),
    "c_arm": Thing(machines.c_arm, 0.8, 2.2),
    "monitor_bank": Thing(machines.monitor_bank, 0.0, 0.0),
    "surgical_lamp": Thing(machines.lamp, 0.0, 0.0),
    "ceiling_column": Thing(machines.ceiling_column, 0.0, 0.0),
    "ceiling_shield": Thing(machines.ceiling_shield, 0.0, 0.0),
}
