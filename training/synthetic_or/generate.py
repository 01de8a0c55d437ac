"""Writes a synthetic data set: scenes in parallel, one shard of labels each, merged at the end.

An interrupted run resumes: a scene whose files are complete is done.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from orpose_models.bulk import map_items
from orpose_models.errors import ConfigError, InputError
from orpose_models.files import remove_temporaries, write_atomically
from training.synthetic_or.check_room import check_fixed_cameras
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.merge import Summary, merge
from training.synthetic_or.mvor import check_mvor
from training.synthetic_or.shards import SceneState, scene_state, write_scene
from training.synthetic_or.views import Assets


def generate(
    config: SynthConfig, out: Path, *, workers: int | None = None, cluster: str | None = None, mvor: bool = False
) -> Summary:
    """Writes `out/images` and `out/annotations.json` (docs/synthetic_or.md).

    Args:
        config: What to draw.
        out: Folder to write; on a cluster one that all machines see under this path.
        workers: Processes on this machine; None: one for every usable processor.
        cluster: Address of a Ray cluster to use instead, or "auto".
        mvor: Write MVOR's keys into the label file as well.

    Raises:
        ConfigError: `out` holds a data set made with other settings, an argument does not fit, or a fixed camera of the
            room file cannot see.
        InputError: `out` cannot be written, or is another folder on another machine.
        WorkerError: Processes or the cluster were lost.
    """
    out = out.absolute()
    if mvor:
        check_mvor(config)
    if config.room is not None and config.room.cameras:
        check_fixed_cameras(config.room, Assets.load())
    states = map_items(range(config.num_scenes), SceneWriter(config, out), workers=workers, cluster=cluster)
    _prepare(config, out)
    damaged = 0
    with tqdm(states, total=config.num_scenes, unit="scene", desc="synth", smoothing=0.05) as bar:
        for state in bar:
            damaged += state == "damaged"
    if damaged:
        print(f"{damaged} scenes had been damaged and were drawn again")
    return merge(config, out, mvor=mvor)


@dataclass(frozen=True)
class SceneWriter:
    """Makes the function that writes scene k where it is not complete, and tells how it was found."""

    config: SynthConfig
    out: Path

    def __call__(self) -> Callable[[int], SceneState]:
        cv2.setNumThreads(1)
        threadpool_limits(1)  # numpy's: small matrices gain nothing, and sums must not depend on the number of cores
        if _settings_in(self.out) != _settings_of(self.config):
            raise InputError(
                f"{self.out}: is not the same folder on {socket.gethostname()}; give an --out that all machines share"
            )
        assets: list[Assets] = []

        def write_if_needed(index: int) -> SceneState:
            state = scene_state(self.out, index)
            if state != "complete":
                if not assets:
                    assets.append(Assets.load())
                write_scene(self.config, self.out, index, assets[0])
            return state

        return write_if_needed


def _settings_of(config: SynthConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _settings_in(out: Path) -> Any:
    """What synth.json in `out` holds, None if there is none."""
    settings = out / "synth.json"
    try:
        return json.loads(settings.read_bytes()) if settings.exists() else None
    except OSError as error:
        raise InputError(f"{out}: cannot be used ({error.strerror}); choose another --out") from None
    except ValueError:
        raise ConfigError(f"{settings}: not the settings of a data set; use an empty folder") from None


def _prepare(config: SynthConfig, out: Path) -> None:
    """Creates the folders; refuses a folder that was made with other settings."""
    wanted = _settings_of(config)
    try:
        for folder in (out, out / "shards", out / "images"):
            folder.mkdir(parents=True, exist_ok=True)
            remove_temporaries(folder)
    except OSError as error:
        raise InputError(f"{out}: cannot be used ({error.strerror}); choose another --out") from None
    found = _settings_in(out)
    if found is not None:
        if not isinstance(found, dict):
            raise ConfigError(f"{out / 'synth.json'}: not the settings of a data set; use an empty folder")
        keys = (wanted.keys() | found.keys()) - {"images"}
        missing = object()
        changed = sorted(key for key in keys if found.get(key, missing) != wanted.get(key, missing))
        if changed:
            raise ConfigError(
                f"{out}: made with other settings ({', '.join(changed)}); use the same ones or an empty folder"
            )
    write_atomically(out / "synth.json", json.dumps(wanted, indent=1).encode())
