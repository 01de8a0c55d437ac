"""Images -> the range of values of every tensor that is to be quantised. One image is in memory at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from tqdm import tqdm

from orpose_models.annotations import AnnotationSet, read_annotations
from orpose_models.errors import ImageError, InputError
from orpose_models.export.int8_config import CalibrationMethod
from orpose_models.files import image_folder
from orpose_models.runtime.downsample import privacy_downsample
from orpose_models.runtime.frames import Frame, Unreadable
from orpose_models.runtime.images import to_bgr8
from orpose_models.runtime.letterbox import Letterbox
from orpose_models.runtime.models import INPUT_NAME
from orpose_models.runtime.sources import ImageFiles, Source, open_source

#: Privacy downsampling of one image after the other: what a network meets, from full resolution to 53 x 40 px.
FACTORS = (1.0, 2.0, 4.0, 8.0, 10.0, 12.0)
#: Bins between a tensor's smallest and largest value.
BINS = 2048
#: Values of one tensor in one image that enter its histogram; the extremes are always exact.
SAMPLED = 1 << 16
#: Share of values that the percentile leaves outside the range, both ends together.
OUTSIDE = 1e-4
#: Unreadable images named in an error; more are only counted.
LISTED = 5

Range = tuple[float, float]


@dataclass
class CalibrationImages:
    """Network inputs made of evenly spread frames of a source; can be gone through again.

    Attributes:
        source: The frames.
        input_size: Width and height of the network's input, px.
        wanted: How many.
        unreadable: Those of the last pass that could not be used.
    """

    source: Source
    input_size: tuple[int, int]
    wanted: int
    unreadable: list[Unreadable] = field(default_factory=list)

    def __len__(self) -> int:
        return self.wanted

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """`(1, H, W, 3)` uint8 BGR, downsampled and letterboxed as the runtime does it.

        Raises:
            InputError: Fewer than `wanted` usable images.
        """
        self.unreadable = []
        taken, total = 0, len(self.source)
        for frame in self.source:
            # An unreadable frame leaves `taken` behind, so the next one is used instead.
            if frame.index * self.wanted < taken * total:
                continue
            image = self._prepared(frame, FACTORS[taken % len(FACTORS)])
            if image is not None:
                yield image
                taken += 1
            if taken == self.wanted:
                return
        raise InputError(
            f"{self.source.path}: {taken} usable images of {total}{_listed(self.unreadable)}, expected "
            f"{self.wanted} to calibrate on; give more images or another --calibration-images"
        )

    def _prepared(self, frame: Frame | Unreadable, factor: float) -> NDArray[np.uint8] | None:
        if isinstance(frame, Unreadable):
            self.unreadable.append(frame)
            return None
        try:
            image = to_bgr8(frame.image)
        except ImageError as error:
            self.unreadable.append(Unreadable(frame.index, frame.name, str(error)))
            return None
        letterbox = Letterbox.fit((image.shape[1], image.shape[0]), self.input_size)
        return letterbox.apply(privacy_downsample(image, factor))[None]


def _listed(unreadable: Sequence[Unreadable]) -> str:
    if not unreadable:
        return ""
    names = ", ".join(f"{item.name}: {item.reason}" for item in unreadable[:LISTED])
    more = f", and {len(unreadable) - LISTED} more" if len(unreadable) > LISTED else ""
    return f" ({len(unreadable)} unreadable: {names}{more})"


def open_images(path: str | Path) -> Source:
    """The images of a label file or of a folder that `orpose synth` wrote, else what `open_source` takes.

    Raises:
        InputError: Missing, empty, or images that are not beside their label file.
        AnnotationError: The label file cannot be read.
    """
    path = Path(path)
    labels = path / "annotations.json" if path.is_dir() else path
    if labels.suffix.lower() != ".json" or not labels.is_file():
        return open_source(path)
    return ImageFiles(labels, labelled_files(labels, read_annotations(labels)))


def labelled_files(labels: Path, annotations: AnnotationSet) -> list[Path]:
    """The image files of a label file, in its order, from its own folder or from `images` in that.

    Raises:
        InputError: There are none, or they are elsewhere.
    """
    if not annotations.images:
        raise InputError(f"{labels}: lists no images")
    first = annotations.images[0]
    names = [image.file_name for image in annotations.images]
    folder = image_folder(labels, names)
    if folder is None:
        missing = f"{labels}: image {first.file_name} is not in {labels.parent}"
        if first.topic is None:
            raise InputError(f"{missing}; put the label file beside its images")
        raise InputError(
            f"{missing}: it is a frame of topic {first.topic} of a recording, expected image files; save the frames "
            "there under the names that the label file has, or give labels of image files, as `orpose synth` writes "
            "them (calibration takes the recording itself)"
        )
    return [folder / name for name in names]


def find_ranges(
    model: onnx.ModelProto, tensors: Sequence[str], images: CalibrationImages, method: CalibrationMethod
) -> dict[str, Range]:
    """The lowest and highest value to represent, of each of `tensors`.

    Args:
        model: A float32 graph with one input.
        tensors: Names of float tensors in it.
        images: What to run it on, twice for `percentile`.
        method: `percentile` or `minmax`.

    Raises:
        InputError: Too few usable images.
    """
    session = _session_with_outputs(model, tensors)
    low = np.full(len(tensors), np.inf)
    high = np.full(len(tensors), -np.inf)
    for values in _runs(session, tensors, images, "ranges"):
        low = np.minimum(low, [value.min() for value in values])
        high = np.maximum(high, [value.max() for value in values])
    if method == "minmax":
        return {name: (float(low[i]), float(high[i])) for i, name in enumerate(tensors)}
    counts = np.zeros((len(tensors), BINS))
    for values in _runs(session, tensors, images, "histograms"):
        for i, value in enumerate(values):
            counts[i] += histogram(value, (low[i], high[i]))
    return {name: percentile_range(counts[i], (low[i], high[i])) for i, name in enumerate(tensors)}


def _session_with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnxruntime.InferenceSession:
    model = copy.deepcopy(model)
    present = {output.name for output in model.graph.output}
    for name in tensors:
        if name not in present:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _runs(
    session: onnxruntime.InferenceSession, tensors: Sequence[str], images: CalibrationImages, name: str
) -> Iterator[list[NDArray[np.float32]]]:
    for image in tqdm(images, desc=f"calibration: {name}", unit="image", disable=None):
        yield session.run(list(tensors), {INPUT_NAME: image})


def histogram(values: NDArray[np.float32], limits: Range) -> NDArray[np.float64]:
    """`(BINS,)` counts of `values`, or of a sample of them, between `limits`."""
    flat = values.reshape(-1)
    if flat.size > SAMPLED:  # chosen at random: even steps would meet the same columns of every row
        flat = flat[np.random.default_rng(0).integers(flat.size, size=SAMPLED)]
    low, high = limits
    if high <= low:  # a constant tensor
        return np.full(BINS, flat.size / BINS)
    return np.histogram(flat, BINS, (low, high))[0].astype(np.float64)


def percentile_range(counts: NDArray[np.float64], limits: Range) -> Range:
    """The range that leaves the share `OUTSIDE` of the values out, half of it at either end.

    Args:
        counts: `(BINS,)` histogram between `limits`.
        limits: Smallest and largest value; an end that is 0 stays (a ReLU's zeros).
    """
    low, high = limits
    edges = np.linspace(low, high, len(counts) + 1)
    share = np.cumsum(counts) / counts.sum()
    first = int(np.searchsorted(share, OUTSIDE / 2, side="right"))
    last = int(np.searchsorted(share, 1 - OUTSIDE / 2, side="left"))
    return float(low if low >= 0 else edges[first]), float(edges[min(last + 1, len(counts))])
