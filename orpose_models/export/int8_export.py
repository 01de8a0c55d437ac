"""float32 .onnx file -> 8-bit .onnx file, calibrated on the user's images and accepted by its accuracy. No torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx

from orpose_models.errors import ConfigError, ModelError
from orpose_models.export.accuracy_gate import ValidationSet, check_accepted
from orpose_models.export.calibration import LISTED, CalibrationImages, find_ranges, open_images
from orpose_models.export.checks import check_graph, run_once
from orpose_models.export.half_weights import store_weights_as_float16
from orpose_models.export.int8 import insert_pairs, layers_to_quantise, read_exact, tensors_to_quantise
from orpose_models.export.int8_config import Activations, Int8Config
from orpose_models.export.metadata import ORIGIN_KEY
from orpose_models.runtime.models import ModelInfo
from orpose_models.runtime.onnx_file import read_metadata
from orpose_models.runtime.person_buckets import PARTS_KEY
from orpose_models.runtime.sources import ImageFiles, Source


def quantise(
    exact: Path, out: Path, config: Int8Config, activations: Activations, report: Callable[[str], None]
) -> str:
    """Writes `out` and reports the accuracy of both graphs side by side; both numbers go into its metadata.

    Args:
        exact: A float32 graph that `orpose export` wrote.
        out: Where to write; a caller that wants nothing there after an error gives a temporary name.
        config: Its `calibration` and `validation` are given.
        activations: Signed or unsigned.
        report: Takes texts for the user: images that were skipped, and the comparison, whether it is accepted or not.

    Returns:
        The precision, as the file's metadata has it.

    Raises:
        AnnotationError: Labels that cannot be read, or of nobody.
        BackendError: pycocotools is not installed.
        ConfigError: No images or labels, or the same for both.
        InputError: Images that are missing, or too few usable ones.
        ModelError: Not a float32 graph of ours for one image, or int8 loses more than `config.max_drop`.
    """
    if not config.calibration or not config.validation:
        raise ConfigError("int8 needs --calibration (images) and --validation (a label file with other images)")
    labels, source = ValidationSet(Path(config.validation)), open_images(config.calibration)
    if labels.labels.resolve() == source.path.resolve():
        raise ConfigError(f"{labels.labels}: is --calibration and --validation; measure int8 on other images")
    if shared := _shared(source, labels):
        report(f"calibration: {shared} of its images are validation images, too; int8 is measured on other ones")
    properties = read_metadata(exact)
    info = ModelInfo.from_metadata(properties, exact)
    if PARTS_KEY in properties:
        raise ModelError(f"{exact}: one of two graphs; int8 starts from an export without --buckets")
    if info.batch != 1:
        raise ModelError(f"{exact}: takes {info.batch} images a call, int8 is measured with one; export with --batch 1")
    model = read_exact(exact)
    layers = layers_to_quantise(model)
    images = CalibrationImages(source, info.input_size, config.calibration_images)
    ranges = find_ranges(model, tensors_to_quantise(model, layers, activations), images, config.calibration_method)
    for line in _skipped(images):
        report(line)
    insert_pairs(model, layers, ranges, activations)
    store_weights_as_float16(model)
    properties.pop(ORIGIN_KEY, None)  # weights cannot be read back from it
    properties["orpose.precision"] = precision = f"int8, {activations} activations / int8 and float16 weights"
    _save(model, out, properties)
    found = labels.compare(exact, out, config)
    report(found.table())
    check_accepted(found, config.max_drop)
    _save(model, out, {**properties, **found.as_properties()})
    return precision


def _shared(source: Source, labels: ValidationSet) -> int:
    """How many images are in both."""
    files = source.files if isinstance(source, ImageFiles) else []
    return len({file.resolve() for file in files} & {file.resolve() for file in labels.files})


def _skipped(images: CalibrationImages) -> list[str]:
    lines = [f"calibration: unreadable: {item.name}: {item.reason}" for item in images.unreadable[:LISTED]]
    more = len(images.unreadable) - LISTED
    return [*lines, f"calibration: unreadable: and {more} more"] if more > 0 else lines


def _save(model: onnx.ModelProto, path: Path, properties: dict[str, str]) -> None:
    """Checks the graph's form, writes it, and runs what was written."""
    onnx.helper.set_model_props(model, properties)
    check_graph(model)
    onnx.save(model, str(path))
    run_once(path)
