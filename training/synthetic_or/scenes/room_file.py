"""Room files: what a user fixes about the own operating room, in YAML; what is not given is drawn at random.

Frame of a room file: x and y along the walls, z up, metres; its origin is the middle of the floor unless
`floor_centre_m` says where that middle lies, say in the frame of a calibration.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, PrivateAttr, field_validator, model_validator

from orpose_models.errors import ConfigError
from orpose_models.lens import Lens
from orpose_models.settings import Settings, build_settings, read_yaml_with_bases
from training.synthetic_or.rooms.cameras import Camera, look_at
from training.synthetic_or.scenes.room_calibration import read_calibration

Place = tuple[float, float]
Point = tuple[float, float, float]
Row = tuple[float, float, float, float]
Colour = Annotated[str, AfterValidator(lambda code: _colour(code))]
Side = Annotated[float, Field(gt=0, le=30)]
Chance = Annotated[float, Field(ge=0, le=1)]
Hang = Annotated[float, Field(ge=0, le=1.5)]
StaffRole = Literal["surgeon", "assistant", "nurse", "anaesthetist", "visitor"]
Garment = Literal["gown", "scrubs", "cap", "mask", "gloves", "apron"]

#: A camera nearer to a wall, the floor or the ceiling than this is in it (m).
_WALL_M = 0.02
#: Focal lengths shorter or longer than this share of the image's width are no camera's.
_SHORTEST, _LONGEST = 0.05, 50
#: How far a matrix may be from a rotation.
_ROTATION_TOLERANCE = 1e-3


class RoomCamera(Settings):
    """One camera: its lens, and its pose as a matrix or as a place and what it looks at."""

    name: str = Field("", description="what errors call it; empty: cam0, cam1 and so on")
    model: Literal["plumb_bob", "rational_polynomial", "equidistant"] = Field(
        "plumb_bob", description="lens; equidistant: fisheye"
    )
    image_size: tuple[int, int] = Field(description="width, height (px) that fx, fy, cx, cy refer to")
    fx: float = Field(gt=0, description="focal length (px)")
    fy: float = Field(gt=0, description="focal length (px)")
    cx: float = Field(ge=-20_000, le=20_000, description="principal point from the image's left edge (px)")
    cy: float = Field(ge=-20_000, le=20_000, description="principal point from the image's upper edge (px)")
    distortion: tuple[float, ...] = Field((), description="coefficients in the order of ROS' CameraInfo; none: perfect")
    room_from_camera: tuple[Row, Row, Row, Row] | None = Field(
        None, description="pose, 4x4, metres; camera axes x right, y down, z forward"
    )
    position_m: Point | None = Field(None, description="or: where it hangs: x, y, z (m)")
    look_at_m: Point | None = Field(None, description="and the point in the middle of its view: x, y, z (m)")
    roll_deg: float = Field(0.0, ge=-180, le=180, description="and its turn about the view's axis (degrees)")

    @model_validator(mode="after")
    def _pose_and_lens_can_be(self) -> RoomCamera:
        by_place = (self.position_m is not None) + (self.look_at_m is not None)
        if by_place not in (0, 2) or (self.room_from_camera is None) != (by_place == 2):
            raise ValueError(f"{self.name}: expected room_from_camera, or position_m and look_at_m")
        if min(self.image_size) < 1:
            raise ValueError(f"{self.name}: image_size: expected width and height above 0 px, got {self.image_size}")
        if self.position_m is not None and self.position_m == self.look_at_m:
            raise ValueError(f"{self.name}: look_at_m: expected another point than position_m")
        for name, focal in (("fx", self.fx), ("fy", self.fy)):
            if not _SHORTEST <= focal / self.image_size[0] <= _LONGEST:
                raise ValueError(
                    f"{self.name}: {name}: got {focal:g} px for images {self.image_size[0]} px wide: expected "
                    f"{_SHORTEST * self.image_size[0]:g} to {_LONGEST * self.image_size[0]:g} px"
                )
        if not np.allclose(self.pose[3], (0, 0, 0, 1)):
            raise ValueError(
                f"{self.name}: room_from_camera: the last row is {self.pose[3].tolist()}, expected 0 0 0 1"
            )
        rotation = self.pose[:3, :3]
        determinant = float(np.linalg.det(rotation))
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > _ROTATION_TOLERANCE or determinant < 0:
            raise ValueError(
                f"{self.name}: room_from_camera: the upper left 3x3 is no rotation (determinant {determinant:.4f}, "
                "expected +1); mirrored, scaled, or in millimetres?"
            )
        Lens(self.model, self.fx, self.fy, self.cx, self.cy, self.distortion)
        return self

    @property
    def pose(self) -> NDArray:
        """`(4, 4)` room_from_camera in the file's frame."""
        if self.room_from_camera is not None:
            return np.array(self.room_from_camera)
        return look_at(np.array(self.position_m), np.array(self.look_at_m), self.roll_deg)


class FixedThing(Settings):
    """A machine or a piece of furniture and where it stands."""

    kind: str = Field(description="what it is")
    position_m: Place = Field(description="its middle on the floor: x, y (m)")
    heading_deg: float | None = Field(
        None, ge=-360, le=360, description="its front looks along -y turned by this about z (degrees); none: random"
    )


class Table(Settings):
    """The operating table; what is not given is drawn at random."""

    position_m: Place | None = Field(None, description="its middle: x, y (m)")
    heading_deg: float | None = Field(None, ge=-360, le=360, description="its long side from x about z (degrees)")
    height_m: float | None = Field(None, ge=0.5, le=1.5, description="of its top above the floor (m)")


class Staff(Settings):
    """How many people work in the room, the patient apart."""

    min: int = Field(0, ge=0, le=12, description="fewest people")
    max: int = Field(6, ge=0, le=12, description="most people; every number between is as likely")
    at_table: Chance | None = Field(None, description="share of them at the table; none: as in random rooms")

    @model_validator(mode="after")
    def _is_a_range(self) -> Staff:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class RoleOutfit(Settings):
    """What people of one role wear; what is not given is drawn at random."""

    kinds: dict[str, float] = Field(
        {}, description="how likely each outfit is (people/outfits.py), relative to each other"
    )
    colours: dict[Garment, tuple[Colour, ...]] = Field({}, description="of garments: #rrggbb, each as likely")

    @field_validator("kinds")
    @classmethod
    def _kinds_are_known(cls, kinds: dict[str, float]) -> dict[str, float]:
        from training.synthetic_or.people.outfits import OR_OUTFITS  # here, as it needs scipy and settings do not

        unknown = sorted(set(kinds) - set(OR_OUTFITS))
        if unknown:
            raise ValueError(f"unknown outfit {unknown[0]!r}: expected {', '.join(OR_OUTFITS)}")
        if kinds and (min(kinds.values()) < 0 or sum(kinds.values()) <= 0):
            raise ValueError("expected numbers from 0, at least one of them above 0")
        return kinds


class CeilingLight(Settings):
    """A lamp at the ceiling that shines down."""

    position_m: Place = Field(description="its middle: x, y (m)")
    size_m: tuple[Side, Side] = Field((1.2, 0.6), description="along x and y (m)")
    power: float = Field(1.0, ge=0, le=5, description="1: one of two lamps that light an ordinary room")


class RoomFile(Settings):
    """A room; all fields may be left out."""

    size_m: Point | None = Field(None, description="length along x, y and height of the room (m)")
    floor_centre_m: Point = Field(
        (0.0, 0.0, 0.0), description="where the middle of the floor lies in this file's frame"
    )
    floor_colour: Colour | None = Field(None, description="sRGB, #rrggbb")
    wall_colour: Colour | None = Field(None, description="sRGB, #rrggbb")
    table: Table = Field(Table(), description="operating table")
    machines: tuple[FixedThing, ...] | None = Field(None, description="of the kinds of MACHINES in rooms/catalogue.py")
    furniture: tuple[FixedThing, ...] | None = Field(
        None, description="of the kinds of FLOOR_THINGS in rooms/catalogue.py"
    )
    clutter: int | None = Field(
        None, ge=0, le=60, description="further furniture at random places; none: as in random rooms, or 0 if "
        "furniture is listed",
    )  # fmt: skip
    things_jitter_m: float = Field(
        0.05, ge=0, le=2, description="standard deviation of places of table, machines and furniture (m)"
    )
    things_jitter_deg: float = Field(3.0, ge=0, le=90, description="and of their headings (degrees)")
    calibration: str | None = Field(
        None, description="JSON file, beside this one, whose cameras are taken: a label file or MVOR's cameras_info"
    )
    cameras: tuple[RoomCamera, ...] = Field(
        (), max_length=6, description="fixed cameras, one view each; none: drawn at random"
    )
    jitter_m: float = Field(
        0.02, ge=0, le=0.5, description="standard deviation of the cameras' places from scene to scene (m), so that a "
        "model does not depend on a calibration that is a little off; 0: exactly as given",
    )  # fmt: skip
    jitter_deg: float = Field(0.5, ge=0, le=20, description="and of their directions (degrees)")
    staff: Staff | None = Field(None, description="number of people")
    patient_probability: Chance | None = Field(None, description="that a patient lies on the table")
    outfits: dict[StaffRole, RoleOutfit] = Field({}, description="by role")
    drapes: tuple[Colour, ...] = Field((), description="sheets over table and patient: #rrggbb, each as likely")
    drape_hang_m: tuple[Hang, Hang] | None = Field(
        None, description="shortest and longest a sheet hangs down at the table's long sides (m); none: at random"
    )
    lights: tuple[CeilingLight, ...] | None = Field(None, min_length=1, description="lamps at the ceiling")
    ambient: float | None = Field(None, ge=0, le=2, description="light from everywhere; 0.25 to 0.5 is usual")
    _path: str = PrivateAttr("room")

    @property
    def path(self) -> str:
        """The file it was read from, for errors."""
        return self._path

    @field_validator("size_m")
    @classmethod
    def _is_a_room(cls, size_m: Point | None) -> Point | None:
        if size_m is not None and not (min(size_m[:2]) >= 2.5 and max(size_m[:2]) <= 30 and 2.2 <= size_m[2] <= 8):
            raise ValueError("expected 2.5 to 30 m along x and y and a height of 2.2 to 8 m")
        return size_m

    @field_validator("drape_hang_m")
    @classmethod
    def _hang_is_a_range(cls, hang: tuple[float, float] | None) -> tuple[float, float] | None:
        if hang is not None and hang[0] > hang[1]:
            raise ValueError(f"expected the shortest before the longest, got {list(hang)}")
        return hang

    @field_validator("cameras")
    @classmethod
    def _name_cameras(cls, cameras: tuple[RoomCamera, ...]) -> tuple[RoomCamera, ...]:
        named = tuple(c if c.name else c.model_copy(update={"name": f"cam{i}"}) for i, c in enumerate(cameras))
        names = [camera.name for camera in named]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the name {twice!r} is given twice; every camera needs its own")
        return named

    @model_validator(mode="after")
    def _things_are_known_and_in_the_room(self) -> RoomFile:
        from training.synthetic_or.rooms.catalogue import FLOOR_THINGS, MACHINES  # here, as it needs scipy

        for key, known in (("machines", MACHINES), ("furniture", FLOOR_THINGS)):
            for i, thing in enumerate(getattr(self, key) or ()):
                if thing.kind not in known:
                    raise ValueError(f"{key}.{i}.kind: unknown {thing.kind!r}: expected one of {', '.join(known)}")
                self._require_inside(f"{key}.{i} ({thing.kind})", self._metre_above(thing.position_m))
        if self.table.position_m is not None:
            self._require_inside("table", self._metre_above(self.table.position_m))
        for i, lamp in enumerate(self.lights or ()):
            self._require_inside(f"lights.{i}", self._metre_above(lamp.position_m))
        if self.cameras and self.size_m is None:
            raise ValueError("size_m: missing: fixed cameras need a room of a fixed size")
        for camera in self.cameras:
            self._require_inside(f"camera {camera.name!r}", camera.pose[:3, 3])
        return self

    def _metre_above(self, place: Place) -> NDArray:
        return np.array([*place, self.floor_centre_m[2] + 1])

    def _require_inside(self, what: str, point: NDArray) -> None:
        if self.size_m is None:
            return
        low = np.array(self.floor_centre_m) - (self.size_m[0] / 2, self.size_m[1] / 2, 0)
        high = low + self.size_m
        if not (np.all(point > low + _WALL_M) and np.all(point < high - _WALL_M)):
            raise ValueError(
                f"{what}: outside of the room or in a wall at {_metres(point)}: expected x {low[0]:g} to {high[0]:g}, "
                f"y {low[1]:g} to {high[1]:g}, z {low[2]:g} to {high[2]:g} m (see size_m and floor_centre_m)"
            )

    def require_aspect(self, image_size: tuple[int, int]) -> None:
        """Raises ValueError if a camera's image cannot be scaled to `image_size` without distortion."""
        width, height = image_size
        for camera in self.cameras:
            own_width, own_height = camera.image_size
            if abs(own_width * height - own_height * width) > max(own_width, own_height):
                raise ValueError(
                    f"{self.path}: camera {camera.name!r}: image_size {own_width}x{own_height} has another aspect than "
                    f"the images' {width}x{height}; give --size {own_width}x{own_height} or a size of the same aspect"
                )

    def fixed_cameras(self, image_size: tuple[int, int], rng: np.random.Generator | None) -> list[Camera]:
        """The file's cameras for images of `image_size`, in the room's frame, a little displaced if `rng` is given."""
        return [self._camera(camera, image_size, rng) for camera in self.cameras]

    def _camera(self, given: RoomCamera, image_size: tuple[int, int], rng: np.random.Generator | None) -> Camera:
        pose = given.pose
        pose[:3, 3] -= self.floor_centre_m
        if rng is not None and self.size_m is not None:
            pose[:3, :3] = _small_rotation(rng.normal(0, np.radians(self.jitter_deg), 3)) @ pose[:3, :3]
            half = np.array([self.size_m[0] / 2, self.size_m[1] / 2, self.size_m[2]])
            moved = pose[:3, 3] + rng.normal(0, self.jitter_m, 3)
            pose[:3, 3] = np.clip(moved, [_WALL_M - half[0], _WALL_M - half[1], _WALL_M], half - _WALL_M)
        camera = Camera(given.image_size, given.fx, given.fy, given.cx, given.cy, given.distortion, pose, given.model)
        return camera.resized(image_size)

    def in_file_frame(self, room_from_camera: NDArray) -> NDArray:
        """A `(4, 4)` pose of the room's frame (origin in the middle of the floor) in this file's."""
        pose = room_from_camera.copy()
        pose[:3, 3] += self.floor_centre_m
        return pose


def load_room(path: str | Path) -> RoomFile:
    """A room from a YAML file and its `base` (`read_yaml_with_bases`).

    Cameras of its `calibration`, which lies beside the file named here, are read and become its `cameras`.

    Raises:
        ConfigError: The file, its calibration or one of their values does not fit.
    """
    values = read_yaml_with_bases(path)
    calibration = values.get("calibration")
    if calibration is not None:
        if values.get("cameras"):
            raise ConfigError(f"{path}: cameras, calibration: both given; expected one of them")
        values = {**values, "cameras": read_calibration(Path(path).parent / str(calibration))}
    room = build_settings(RoomFile, values, str(path))
    room._path = str(path)
    return room


def _colour(code: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", code):
        raise ValueError("expected #rrggbb, such as #1d3f7a (in quotes: a bare # begins a comment)")
    return code


def _metres(point: NDArray) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in point) + ")"


def _small_rotation(vector: NDArray) -> NDArray:
    """`(3, 3)` rotation about `vector (3,)` by its length (rad)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
