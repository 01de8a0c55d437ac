"""Before a run: can every fixed camera of a room file see past the things that the file puts there?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import ConfigError
from training.synthetic_or.rooms.cameras import Camera
from training.synthetic_or.rooms.furniture import operating_table
from training.synthetic_or.rooms.lights import Light
from training.synthetic_or.scenes.fixed_room import Placed, place_given, table_frame
from training.synthetic_or.scenes.people import Floor
from training.synthetic_or.scenes.room_file import RoomFile
from training.synthetic_or.scenes.scene import Scene
from training.synthetic_or.shapes.meshes import turned
from training.synthetic_or.views import Assets, is_blocked

#: Things vary from scene to scene: a camera is refused if they block it in all of so many draws.
_DRAWS = 6
_LINES = 48


def check_fixed_cameras(room: RoomFile, assets: Assets) -> None:
    """Looks through every fixed camera at small pictures of what the file fixes alone.

    Raises:
        ConfigError: A camera is inside or behind one of the room's things; names both.
    """
    for number, given in enumerate(room.cameras):
        size = (max(16, round(_LINES * given.image_size[0] / given.image_size[1])), _LINES)
        found = None
        for draw in range(_DRAWS):
            rng = np.random.default_rng([draw, number])
            found = _blocking(room, room.fixed_cameras(size, rng)[number], assets, rng)
            if found is None:
                break
        if found is not None:
            x, y, z = given.pose[:3, 3]
            raise ConfigError(
                f"{room.path}: camera {given.name!r} at ({x:.2f}, {y:.2f}, {z:.2f}): {found} fills its view or "
                "surrounds it; move one of them"
            )


def _blocking(room: RoomFile, camera: Camera, assets: Assets, rng: np.random.Generator) -> str | None:
    """The name of the first thing that alone blocks `camera`."""
    size_m, floor = np.array(room.size_m), Floor()
    table = table_frame(room, rng)
    things = place_given(room, table, assets.textures, floor, size_m, rng)
    meshes = turned(operating_table(rng, table.height), table.heading, table.foot)
    things.append(Placed("the operating table", meshes, [(*table.foot[:2], 0.25)]))
    no_lights: list[Light] = []
    for thing in things:
        if _is_inside(camera.room_from_camera[:3, 3], thing):
            return thing.name
        alone = Scene(thing.meshes, [], no_lights, np.ones(3), size_m, table.centre, floor)
        rendered = assets.renderer(alone).render(camera, rng)
        # Rays that miss the thing count as free, unlike those outside of a fisheye's image circle.
        if is_blocked(rendered, len(camera.rays.pixels)):
            return thing.name
    return None


def _is_inside(point: NDArray, thing: Placed) -> bool:
    """Whether `point (3,)` lies over a thing's floor and under its top."""
    top = max(float(mesh.vertices[:, 2].max()) for mesh in thing.meshes)
    return bool(point[2] < top) and any(np.hypot(point[0] - x, point[1] - y) < r for x, y, r in thing.circles)
