"""Identities over time (HOTA, MOTA, IDF1 by TrackEval), and how joints move: jitter and lag."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.annotations import AnnotationSet
from orpose_models.errors import AnnotationError, BackendError, InputError
from orpose_models.evaluate.motion import motion
from orpose_models.evaluate.recordings import MIN_IOU, Moment, recordings
from orpose_models.evaluate.results import Result

INSTALL = "pip install 'orpose[identity]' && pip install --no-deps trackeval==1.3.0"


def identity(annotations: AnnotationSet, results: Sequence[Result]) -> dict[str, float]:
    """Metrics of all recordings together. Boxes are what is paired, from an intersection over union of 0.5 on.

    `HOTA`, `DetA` and `AssA` are means over TrackEval's 19 thresholds; `MOTA`, `IDF1`, `id_switches` and `fragments`
    are at 0.5. `persons` and `found` count labelled people in frames. The rest is `motion`'s.

    Args:
        annotations: Images with `sequence`, people with `track_id`; whoever has none is ignored like iscrowd.
        results: Those with a `track_id` of 0 or more count.

    Raises:
        AnnotationError: No image says which sequence it is of, nobody has a track_id.
        InputError: No result has a track_id.
        BackendError: TrackEval is not installed.
    """
    tracked = [result for result in results if _track_id(result) >= 0]
    if results and not tracked:
        raise InputError("no result has a track_id of 0 or more; write results with `orpose run --tracking`")
    streams = recordings(_without_unnamed(annotations), tracked)
    if not any(moment.labels for stream in streams for moment in stream):
        raise AnnotationError("identity: nobody in the sequences has a track_id")
    return {**tracking_metrics(streams), **motion(streams)}


def tracking_metrics(streams: Sequence[Sequence[Moment]]) -> dict[str, float]:
    """TrackEval's metrics of all recordings together."""
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it could have evaluated as well
        try:
            from trackeval.metrics import CLEAR, HOTA, Identity
        except ImportError as error:
            raise BackendError(f"trackeval: cannot be imported ({error}); run: {INSTALL}") from None
    sequences = [_as_trackeval(stream) for stream in streams]
    options = {"THRESHOLD": MIN_IOU, "PRINT_CONFIG": False}
    totals: dict[str, Any] = {}
    for metric in (HOTA(), CLEAR(dict(options)), Identity(dict(options))):
        each = {str(number): metric.eval_sequence(sequence) for number, sequence in enumerate(sequences)}
        totals |= metric.combine_sequences(each)
    return {
        **{name: float(np.mean(totals[name])) for name in ("HOTA", "DetA", "AssA")},
        **{name: float(totals[name]) for name in ("MOTA", "IDF1")},
        "id_switches": float(totals["IDSW"]),
        "fragments": float(totals["Frag"]),
        "persons": float(totals["CLR_TP"] + totals["CLR_FN"]),
        "found": float(totals["CLR_TP"]),
    }


def _as_trackeval(moments: Sequence[Moment]) -> dict[str, Any]:
    true = [[int(label.track_id or 0) for label in moment.labels] for moment in moments]
    found = [[_track_id(result) for result in moment.found] for moment in moments]
    true_ids, found_ids = (sorted({number for frame in ids for number in frame}) for ids in (true, found))
    return {
        "gt_ids": [_places(frame, true_ids) for frame in true],
        "tracker_ids": [_places(frame, found_ids) for frame in found],
        "similarity_scores": [moment.overlap for moment in moments],
        "num_timesteps": len(moments),
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(found_ids),
        "num_gt_dets": sum(map(len, true)),
        "num_tracker_dets": sum(map(len, found)),
    }


def _places(numbers: Sequence[int], known: Sequence[int]) -> NDArray[np.int64]:
    return np.array([known.index(number) for number in numbers], np.int64)


def _track_id(result: Result) -> int:
    number = result["track_id"]
    if not isinstance(number, int):
        raise InputError(f"track_id: got {number!r}, expected an integer")
    return number


def _without_unnamed(annotations: AnnotationSet) -> AnnotationSet:
    persons = (p if p.track_id is not None else replace(p, is_crowd=True) for p in annotations.persons)
    return replace(annotations, persons=tuple(persons))
