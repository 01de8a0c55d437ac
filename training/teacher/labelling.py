"""A labelling run: images in, one shard of labels a batch, merged at the end.

A stopped run resumes: a batch whose shard exists is done. Shards are joined as text, so that memory does not grow with
the number of images.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel, annotations_to_dict
from orpose_models.bulk import map_items, usable_cpus
from orpose_models.errors import ConfigError, ImageError, InputError, ModelError
from orpose_models.files import cannot_be_written, file_sha256, remove_if_possible, remove_temporaries, write_atomically
from orpose_models.runtime.images import decode_image, to_bgr8
from orpose_models.settings import Settings, changed_settings, told_changes
from training.data.privacy import down_and_up
from training.teacher.config import LabellingConfig, TeacherConfig
from training.teacher.frames import (
    LISTING,
    FrameRef,
    Listing,
    cameras_of,
    forget_listing,
    listed_frames,
    read_listing,
    recordings_kept_aside,
)

TRAINING, VALIDATION, UNREADABLE = "annotations.json", "validation.json", "unreadable.txt"
_SETTINGS = "pseudo_label.json"
#: What may differ between a stopped run and its continuation.
_FREE = ("labelling.split",)


@dataclass(frozen=True)
class Summary:
    """What a run did. `unreadable` lists every image that could not be used: `(name, reason)`.

    `was_whole`: an earlier start had labelled everything; images that its inputs got since are not among them.
    """

    batches: int
    images: int
    validation_images: int
    people: int
    hard_joints: int
    unreadable: tuple[tuple[str, str], ...]
    was_whole: bool = False


def label_images(
    inputs: Sequence[Path],
    teacher: TeacherConfig,
    config: LabellingConfig,
    out: Path,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    gpus: float = 0.0,
) -> Summary:
    """Labels the images of `inputs` (folders, images, videos, bags, label files) into `out`, see docs.

    Args:
        inputs: What to label.
        teacher: The teacher.
        config: Thinning, split and the like.
        out: Folder; an unfinished run in it is continued.
        workers: Processes on this machine, each with a teacher of its own; None is 1 without a cluster.
        cluster: Address of a Ray cluster instead; all its machines see the images and `out` under the same paths.
        gpus: GPUs, or the part of one, that each process on the cluster takes; without any the teacher's device has
            to be cpu.

    Raises:
        OrposeError: One line that says what to mend.
    """
    if cluster is not None and not gpus and teacher.device != "cpu":
        raise ConfigError(
            f"gpus: got 0 with a cluster and device {teacher.device}: a process without a GPU of its own sees none, or"
            " shares the first one with all; set the GPUs each process takes, or device to cpu"
        )
    if cluster is None:  # whose machines may have files that this one does not
        check_weight_files(teacher)
        if not (out / LISTING).exists():
            check_it_loads(teacher)
    info = {"teacher": teacher.model_dump(mode="json"), "weights": weight_hashes(teacher)}
    prepare(out, {**info, "labelling": config.model_dump(mode="json"), "inputs": [str(p.resolve()) for p in inputs]})
    listing = listed_frames(inputs, out, config)
    aside = recordings_kept_aside(listing.frames, config.split)
    batches = -(-len(listing.frames) // config.batch)
    missing = [index for index in range(batches) if not shard_path(out, index).exists()]
    if cluster is None and workers is None:
        workers = 1
    threads = max(1, usable_cpus() // workers) if workers else 1
    make_worker = partial(make_labeller, teacher, config, out.resolve(), threads)
    with tqdm(total=batches, initial=batches - len(missing), unit="batch", desc="label", smoothing=0.05) as bar:
        for _ in map_items(missing, make_worker, workers=workers, cluster=cluster, gpus=gpus):
            bar.update()
    remove_temporaries(out / "shards")  # of a node that was killed while it wrote
    header = AnnotationSet((), (), cameras_of(inputs), info={"pseudo_labels": info})
    return replace(merge(out, batches, listing, header, aside), was_whole=not missing)


def prepare(out: Path, wanted: Mapping[str, Any]) -> None:
    """Makes the folders; refuses a folder that was begun with other settings.

    Raises:
        InputError: `out` cannot be a folder.
        ConfigError: It holds another run.
    """
    path, as_json = out / _SETTINGS, json.loads(json.dumps(wanted))
    try:
        (out / "shards").mkdir(parents=True, exist_ok=True)
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else as_json
    except OSError as error:
        raise InputError(f"{out}: cannot be used ({error.strerror}); choose another --out") from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: not the settings of a labelling run; use an empty folder")
    changed = {name: values for name, values in changed_settings(found, as_json).items() if name not in _FREE}
    if changed:
        if any((out / "shards").glob("*.json")):
            advice = "use the same ones or another --out"
            raise ConfigError(f"{out}: begun with other settings: {told_changes(changed)}; {advice}")
        forget_listing(out)  # nothing was labelled yet
    remove_temporaries(out / "shards")
    write_atomically(path, json.dumps(wanted, indent=1).encode())


def check_weight_files(teacher: TeacherConfig) -> None:
    """Looks for the files that the stages name; says what each should be.

    Raises:
        ModelError: One is not there; what it should be.
    """
    for name, stage, key, path in _weight_files(teacher):
        if not path.is_file():
            wanted = type(stage).model_fields[key].description
            raise ModelError(f"{path}: no such weight file; `{name}.{key}` takes: {wanted}")


def check_it_loads(teacher: TeacherConfig) -> None:
    """Loads the teacher once, on the processor, before hours of bags and videos are decoded for it.

    Raises:
        ModelError: Weights that are corrupt or of something else.
        BackendError: A library or device that is not there.
    """
    from training.teacher.build import build_teacher, choose_device

    choose_device(teacher.device)
    build_teacher(teacher.model_copy(update={"device": "cpu"}))


def weight_hashes(teacher: TeacherConfig) -> dict[str, str]:
    """SHA-256 of every weight file that the configuration names by its path."""
    paths = {path for _, _, _, path in _weight_files(teacher)}
    return {str(path): file_sha256(path) for path in sorted(paths) if path.is_file()}


def _weight_files(teacher: TeacherConfig) -> Iterator[tuple[str, Settings, str, Path]]:
    """Name of the stage, the stage, its key and the path of each file that it names."""
    other = None if teacher.sspcm is None else teacher.sspcm.keypoints
    stages = {"boxes": teacher.boxes, "keypoints": teacher.keypoints, "lifting": teacher.lifting}
    for name, stage in {**stages, "sspcm.keypoints": other}.items():
        for key in ("weights", "statistics"):
            path = getattr(stage, key, None)
            if stage is not None and path is not None:
                yield name, stage, key, path


def shard_path(out: Path, index: int) -> Path:
    return out / "shards" / f"{index:07d}.json"


# ------------------------------------------------------------------------------------------------------ in the workers


def make_labeller(teacher: TeacherConfig, config: LabellingConfig, out: Path, threads: int) -> Callable[[int], int]:
    """Loads the teacher and gives the function that labels one batch; called once in every process."""
    import torch

    from training.teacher.build import build_teacher

    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    built, frames = build_teacher(teacher), read_listing(out).frames

    def label(index: int) -> int:
        _write_shard(out, index, frames[index * config.batch : (index + 1) * config.batch], config, built.label)
        return index

    return label


def _write_shard(
    out: Path,
    index: int,
    frames: Sequence[FrameRef],
    config: LabellingConfig,
    label: Callable[[Sequence[NDArray[np.uint8]], Sequence[int]], list[list[PersonLabel]]],
) -> None:
    """Labels the frames and writes their shard by temporary name and rename; none where reading itself failed.

    Raises:
        InputError: An image cannot be read for now, or the shard cannot be written.
        ModelError: The teacher's answer holds a number that is not finite, which no reader of labels takes.
    """
    readable: list[FrameRef] = []
    pictures: list[NDArray[np.uint8]] = []
    unreadable: list[tuple[str, str]] = []
    for frame in frames:
        try:
            pictures.append(down_and_up(read_picture(out / frame.path), config.downsample))
            readable.append(frame)
        except ImageError as error:
            unreadable.append((frame.path, str(error)))
    people = label(pictures, [frame.image_id for frame in readable]) if readable else []
    images = [_labelled_image(frame, picture) for frame, picture in zip(readable, pictures, strict=True)]
    labels = AnnotationSet(tuple(images), tuple(person for persons in people for person in persons))
    content = annotations_to_dict(labels)
    shard = {"images": content["images"], "annotations": content["annotations"], "unreadable": unreadable}
    try:
        text = json.dumps(shard, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise ModelError(
            f"{frames[0].path} to {frames[-1].path}: the teacher's labels hold a number that is not finite; its weights"
            " are probably damaged: fetch them again and run the same command again"
        ) from None
    write_atomically(shard_path(out, index), text.encode())


def read_picture(path: Path) -> NDArray[np.uint8]:
    """An image file as `(H, W, 3)` BGR.

    Raises:
        ImageError: It is not there, or not an image.
        InputError: It cannot be read, which may pass (a disk or a network that is gone): it is no fault of the image.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ImageError(f"cannot be read ({error.strerror})") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); mend that, or remove the image, and run the same command again"
        ) from None
    return to_bgr8(decode_image(np.frombuffer(content, np.uint8)))


def _labelled_image(frame: FrameRef, picture: NDArray[np.uint8]) -> LabelledImage:
    return LabelledImage(
        image_id=frame.image_id,
        file_name=frame.path,
        width=picture.shape[1],
        height=picture.shape[0],
        camera_id=frame.camera_id,
        sequence=frame.sequence,
        frame_index=frame.frame_index,
        stamp_ns=frame.stamp_ns,
        topic=frame.topic,
    )


# --------------------------------------------------------------------------------------------------------------- merge


@dataclass
class _Counts:
    images: dict[str, int] = field(default_factory=lambda: {TRAINING: 0, VALIDATION: 0})
    people: int = 0
    hard_joints: int = 0


def merge(out: Path, batches: int, listing: Listing, header: AnnotationSet, aside: set[str]) -> Summary:
    """Joins the shards into `annotations.json` and, of the recordings `aside`, `validation.json`.

    `annotations.json` comes last: where it is, the run is whole.

    Raises:
        InputError: No image is readable, a shard is not, or a file cannot be written.
    """
    counts = _Counts()
    readable, unreadable = 0, [*listing.unreadable]
    for shard in _shards(out, batches):
        readable += len(shard["images"])
        unreadable += [(name, reason) for name, reason in shard["unreadable"]]
    lines = "".join(f"{name}: {reason}\n" for name, reason in unreadable)
    write_atomically(out / UNREADABLE, lines.encode())
    if not readable:
        raise InputError(f"{out}: none of {len(unreadable)} images is readable; {lines.splitlines()[0]}")
    if aside:
        _write_joined(out, VALIDATION, batches, header, lambda sequence: sequence in aside, counts)
    else:
        (out / VALIDATION).unlink(missing_ok=True)
    _write_joined(out, TRAINING, batches, header, lambda sequence: sequence not in aside, counts)
    images, people = counts.images, counts.people
    return Summary(batches, images[TRAINING], images[VALIDATION], people, counts.hard_joints, tuple(unreadable))


def _shards(out: Path, batches: int) -> Iterator[dict[str, Any]]:
    for path in (shard_path(out, index) for index in range(batches)):
        try:
            yield json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: not a readable shard ({error}); remove it and run the same command again"
            ) from None


def _write_joined(
    out: Path, name: str, batches: int, header: AnnotationSet, wanted: Callable[[str], bool], counts: _Counts
) -> None:
    """One label file, read from the shards twice: for its images and for its people."""
    top = {k: v for k, v in annotations_to_dict(header).items() if k not in ("images", "annotations")}
    temporary = out / f".{name}.part"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(top, separators=(",", ":"))[:-1] + ',"images":[')
            images = (
                image for shard in _shards(out, batches) for image in shard["images"] if wanted(image["sequence"])
            )
            counts.images[name] = _write_list(file, images)
            file.write('],"annotations":[')
            _write_list(file, _counted(_people(out, batches, wanted), counts))
            file.write("]}")
        os.replace(temporary, out / name)
    except OSError as error:
        remove_if_possible(temporary)
        raise cannot_be_written(out / name, error) from None


def _people(out: Path, batches: int, wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    for shard in _shards(out, batches):
        chosen = {image["id"] for image in shard["images"] if wanted(image["sequence"])}
        yield from (person for person in shard["annotations"] if person["image_id"] in chosen)


def _counted(people: Iterator[dict[str, Any]], counts: _Counts) -> Iterator[dict[str, Any]]:
    for person in people:
        counts.people += 1
        counts.hard_joints += person["num_keypoints"]
        yield person


def _write_list(file: TextIO, entries: Iterator[dict[str, Any]]) -> int:
    number = 0
    for number, entry in enumerate(entries, start=1):
        file.write(("," if number > 1 else "") + json.dumps(entry, separators=(",", ":")))
    return number
