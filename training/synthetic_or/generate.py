"""Writes a synthetic data set: scenes in parallel, one shard of labels each, merged at the end.

An interrupted run resumes: a scene whose shard exists is done.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import cv2
from tqdm import tqdm

from orpose_models import annotations as ann
from orpose_models.errors import ConfigError, InputError
from training.synthetic_or.config import SynthConfig
from training.synthetic_or.shards import shard_path, write_atomically, write_scene
from training.synthetic_or.views import Assets


def generate(config: SynthConfig, out: Path, workers: int) -> ann.AnnotationSet:
    """Writes `out/images` and `out/annotations.json` (docs/synthetic_or.md) and returns the labels.

    Raises:
        ConfigError: `out` holds a data set made with other settings, or `workers` is not positive.
        InputError: `out` cannot be written.
    """
    if workers < 1:
        raise ConfigError(f"command line: workers: got {workers}: expected 1 or more")
    _prepare(config, out)
    missing = [index for index in range(config.num_scenes) if not shard_path(out, index).exists()]
    done = config.num_scenes - len(missing)
    with tqdm(total=config.num_scenes, initial=done, unit="scene", desc="synth", smoothing=0.05) as bar:
        for _ in _write_scenes(config, out, missing, min(workers, len(missing))):
            bar.update()
    return merge(config, out)


def _prepare(config: SynthConfig, out: Path) -> None:
    """Creates the folders; refuses a folder that was made with other settings."""
    settings = out / "synth.json"
    wanted = config.model_dump()
    try:
        for folder in ("shards", "images"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        found = json.loads(settings.read_text()) if settings.exists() else wanted
    except OSError as error:
        raise InputError(f"{out}: cannot be used ({error.strerror}); choose another --out") from None
    except ValueError:
        raise ConfigError(f"{settings}: not the settings of a data set; use an empty folder") from None
    changed = sorted(key for key in wanted if key != "images" and found.get(key) != wanted[key])
    if changed:
        raise ConfigError(
            f"{out}: made with other settings ({', '.join(changed)}); use the same ones or an empty folder"
        )
    write_atomically(settings, json.dumps(wanted, indent=1).encode())


_worker: tuple[SynthConfig, Path, Assets] | None = None


def _init_worker(config: SynthConfig, out: Path) -> None:
    global _worker
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent ends the pool, scenes under way are finished
    _worker = (config, out, Assets.load())


def _write_in_worker(index: int) -> int:
    if _worker is None:
        raise RuntimeError("the worker process was not initialised")
    config, out, assets = _worker
    write_scene(config, out, index, assets)
    return index


def _write_scenes(config: SynthConfig, out: Path, indices: list[int], workers: int) -> Iterator[int]:
    """Writes the scenes and yields the index of each finished one."""
    if workers <= 1:
        cv2.setNumThreads(1)
        assets = Assets.load()
        for index in indices:
            write_scene(config, out, index, assets)
            yield index
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_init_worker, initargs=(config, out))
    try:
        for future in as_completed([pool.submit(_write_in_worker, index) for index in indices]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def merge(config: SynthConfig, out: Path) -> ann.AnnotationSet:
    """Joins the shards of `out` into `annotations.json`; works on an unfinished set too."""
    images: list[ann.LabelledImage] = []
    persons: list[ann.PersonLabel] = []
    cameras: dict[str, ann.Camera] = {}
    for path in (shard_path(out, index) for index in range(config.num_scenes)):
        if path.exists():
            part = ann.annotations_from_dict(json.loads(path.read_text()), source=str(path))
            images += part.images
            persons += part.persons
            cameras.update(part.cameras)
    images = images[: config.images]
    kept = {image.image_id for image in images}
    used = {image.camera_id for image in images}
    whole = ann.AnnotationSet(
        tuple(images),
        tuple(p for p in persons if p.image_id in kept),
        {camera_id: camera for camera_id, camera in cameras.items() if camera_id in used},
        info={"synth": config.model_dump()},
    )
    ann.write_annotations(out / "annotations.json", whole)
    return whole
