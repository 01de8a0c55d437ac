"""What the node published, beside the labels of the frames that it was sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from orpose_models.annotations import AnnotationSet, LabelledImage, PersonLabel
from orpose_models.errors import AnnotationError, BackendError, InputError
from orpose_models.evaluate.frame_quality import FrameQuality, frame_quality
from orpose_models.evaluate.protocols import metrics_of
from orpose_models.runtime.results import entries_from_persons
from orpose_ros.replayed import ReplayedFrame

#: Measured in a replay: those of `orpose evaluate` that are about one camera.
REPLAY_PROTOCOLS = ("coco-bbox", "coco-keypoints", "mpjpe", "identity", "places")


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a bag's frames.

    Attributes:
        path: Where they were read.
        annotations: The images that are in the bag, and their people.
        image_of_frame: Index in the bag -> image id, for frames that are labelled.
    """

    path: Path
    annotations: AnnotationSet
    image_of_frame: Mapping[int, int]

    def people_of(self, frame_index: int) -> list[PersonLabel] | None:
        """The people labelled in a frame; None if the frame is not labelled."""
        image_id = self.image_of_frame.get(frame_index)
        return None if image_id is None else self._people[image_id]

    @cached_property
    def _people(self) -> dict[int, list[PersonLabel]]:
        return self.annotations.persons_by_image()


def labels_of(
    path: Path, annotations: AnnotationSet, image_of_frame: Mapping[int, int], frame_size: tuple[int, int]
) -> Labels:
    """The labels of the frames that are in a bag.

    Args:
        path: Of the label file.
        annotations: All that is in it.
        image_of_frame: Index in the bag -> image id.
        frame_size: Width and height that the node's answers are in, px.

    Raises:
        InputError: No frame is labelled, or the labels are of frames of another size.
    """
    own = _part(annotations, set(image_of_frame.values()))
    if not own.images:
        raise InputError(f"{path}: has none of the bag's frames (by topic and stamp, or file name); another recording?")
    _require_size(path, own.images, frame_size)
    return Labels(path, own, image_of_frame)


def _require_size(path: Path, images: Iterable[LabelledImage], frame_size: tuple[int, int]) -> None:
    for image in images:
        if (image.width, image.height) != frame_size:
            raise InputError(
                f"{path}: image {image.image_id} is {image.width}x{image.height}, the frames are "
                f"{frame_size[0]}x{frame_size[1]}; give the camera's own size with --frame-size"
            )


def result_entries(
    frames: Sequence[ReplayedFrame], name_of: Callable[[int, int], str], labels: Labels | None
) -> list[dict[str, Any]]:
    """results.json of a replay: image ids are the label file's (frames without labels are left out), else indices.

    Args:
        frames: Of the replay.
        name_of: Index in the bag and stamp there -> what the frame is called.
        labels: Of its frames.
    """
    entries: list[dict[str, Any]] = []
    for frame in frames:
        image_id = frame.index if labels is None else labels.image_of_frame.get(frame.index)
        if frame.result is not None and image_id is not None:
            entries += entries_from_persons(image_id, name_of(frame.index, frame.original_ns), frame.result.persons)
    return entries


def annotations_of(labels: Labels, frames: Iterable[ReplayedFrame]) -> AnnotationSet:
    """The labels of these frames alone."""
    ids = {labels.image_of_frame[frame.index] for frame in frames if frame.index in labels.image_of_frame}
    return _part(labels.annotations, ids)


def measure(frames: Sequence[ReplayedFrame], labels: Labels, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Metrics over the labelled frames that were answered, and over all of them that were sent, ready for JSON.

    Args:
        frames: Of the replay.
        labels: Of its frames.
        entries: Of `result_entries`.
    """
    sent = annotations_of(labels, frames)
    answered = annotations_of(labels, (frame for frame in frames if frame.result is not None))
    of_answered = _metrics(answered, entries)
    of_sent = of_answered if len(sent.images) == len(answered.images) else _metrics(sent, entries)
    return {
        "annotations": str(labels.path),
        "answered": {"images": len(answered.images), **of_answered},
        "sent": {"images": len(sent.images), **of_sent},
    }


def _metrics(annotations: AnnotationSet, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Protocol -> its metrics, or why there are none."""
    if not annotations.images:
        return {protocol: {"not_measured": "no labelled frame was answered"} for protocol in REPLAY_PROTOCOLS}
    metrics: dict[str, Any] = {}
    for protocol in REPLAY_PROTOCOLS:
        try:
            metrics[protocol] = metrics_of(protocol, annotations, entries)
        except (AnnotationError, InputError, BackendError) as error:  # no such labels, no identities, no TrackEval
            metrics[protocol] = {"not_measured": str(error)}
    return metrics


def _part(annotations: AnnotationSet, image_ids: Collection[int]) -> AnnotationSet:
    """The images of these ids, and their people."""
    images = tuple(image for image in annotations.images if image.image_id in image_ids)
    people = tuple(person for person in annotations.persons if person.image_id in image_ids)
    return replace(annotations, images=images, persons=people)


def qualities(frames: Sequence[ReplayedFrame], labels: Labels) -> dict[int, FrameQuality]:
    """Index in the bag -> how good the answer is, for labelled frames; a frame without an answer has found nobody."""
    return {
        frame.index: frame_quality(people, frame.result.persons if frame.result else ())
        for frame in frames
        if (people := labels.people_of(frame.index)) is not None
    }
