"""Other people's networks, beside ours: torchvision's eager keypoint R-CNN, and YOLO11 pose in ONNX Runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orpose_models.errors import BackendError, InputError
from orpose_models.files import write_atomically
from orpose_models.runtime.models import first_line

Timings = dict[str, float]
Step = Callable[[], Timings]

TORCHVISION = "torchvision keypointrcnn_resnet50_fpn"
YOLO_NAMES = ("yolo11n-pose", "yolo11s-pose")
#: Ultralytics' defaults: a detection's least confidence, and the overlap from which the worse of two is dropped.
_YOLO_CONFIDENCE, _YOLO_IOU = 0.25, 0.7
_YOLO_PADDING = 114


def torchvision_step(
    frame: NDArray[np.uint8], threads: int, persons: int, device: str = "cpu"
) -> tuple[Step, dict[str, Any]]:
    """Random weights, so that every box passes the threshold 0 and exactly `persons` reach the keypoint head.

    On a GPU it runs as torch is set when it is installed: convolutions in TF32, which ours do not use.

    Raises:
        BackendError: torchvision or the GPU is not there.
    """
    try:
        import torch
        from torchvision.models.detection import keypointrcnn_resnet50_fpn
    except ImportError as error:
        raise BackendError(f"the peer needs torchvision ({error}): pip install 'orpose[train]'") from None
    if device == "cuda" and not torch.cuda.is_available():
        raise BackendError(f"the peer's device is cuda, but torch {torch.__version__} sees no CUDA GPU")
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    height, width = frame.shape[:2]
    # The sizes keep torchvision from enlarging the image to 800 px.
    model = keypointrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        min_size=min(width, height),
        max_size=max(width, height),
        box_score_thresh=0.0,
        box_detections_per_img=persons,
    )
    model.eval().to(device)

    def prepare() -> list[torch.Tensor]:
        return [torch.from_numpy(frame[..., ::-1].copy()).to(device).permute(2, 0, 1).float() / 255]

    def step() -> Timings:
        started = time.perf_counter()
        with torch.inference_mode():
            image = prepare()
            prepared = time.perf_counter()
            (people,) = model(image)
            if device == "cuda":
                torch.cuda.synchronize()
            inferred = time.perf_counter()
            for values in people.values():
                values.cpu()
        return _timings(started, prepared, inferred, time.perf_counter())

    with torch.inference_mode():
        found = len(model(prepare())[0]["scores"])
    precision = "fp32, convolutions TF32" if device == "cuda" and torch.backends.cudnn.allow_tf32 else "fp32"
    facts = {"model_id": "random weights", "input_size": [width, height], "persons": found, "precision": precision}
    return step, facts


def yolo_step(frame: NDArray[np.uint8], threads: int, model: Path) -> tuple[Step, dict[str, Any]]:
    """A YOLO pose graph in ONNX Runtime; letterbox, scaling, and decoding with NMS are counted, 3D it has none.

    Raises:
        BackendError: It is not a graph of this kind.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise BackendError(f"{model}: ONNX Runtime cannot load it ({str(error).splitlines()[0]})") from None
    (given,), outputs = session.get_inputs(), session.get_outputs()
    if len(given.shape) != 4 or given.shape[:2] != [1, 3] or len(outputs) != 1 or outputs[0].shape[:2] != [1, 56]:
        raise BackendError(
            f"{model}: inputs {given.shape}, outputs {outputs[0].shape}: no YOLO pose graph of one class"
        )
    size = (int(given.shape[3]), int(given.shape[2]))

    def step() -> Timings:
        started = time.perf_counter()
        image = yolo_input(frame, size)
        prepared = time.perf_counter()
        (rows,) = session.run(None, {given.name: image})
        inferred = time.perf_counter()
        yolo_people(rows[0])
        return _timings(started, prepared, inferred, time.perf_counter())

    return step, {"model_id": model.stem, "input_size": list(size), "persons": 0, "precision": "fp32"}


def yolo_input(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """`(1, 3, H, W)` RGB in 0-1: the frame scaled into `size` (width, height) and padded on both sides."""
    import cv2

    scale = min(size[0] / frame.shape[1], size[1] / frame.shape[0])
    width, height = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
    if (width, height) != (frame.shape[1], frame.shape[0]):
        frame = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    if (width, height) != size:
        right, bottom = size[0] - width - left, size[1] - height - top
        border = (_YOLO_PADDING,) * 3
        frame = np.asarray(
            cv2.copyMakeBorder(frame, top, bottom, left, right, cv2.BORDER_CONSTANT, value=border), np.uint8
        )
    return np.asarray(cv2.dnn.blobFromImage(frame, 1 / 255, swapRB=True), np.float32)


def yolo_people(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """People `(N, 56)` (centre, sides, score, 17 x (x, y, score), input px) of an output `(56, A)`, after NMS."""
    import cv2

    found = rows[:, rows[4] > _YOLO_CONFIDENCE].T
    corners = np.concatenate([found[:, :2] - found[:, 2:4] / 2, found[:, 2:4]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners.tolist(), found[:, 4].tolist(), _YOLO_CONFIDENCE, _YOLO_IOU)
    return found[np.asarray(kept, np.int64).reshape(-1)]


def yolo_models(given: list[Path], frame_size: tuple[int, int], cache: Path) -> list[tuple[str, Path]]:
    """Name and file of each YOLO graph: those given, else exported by ultralytics with random weights, where installed.

    Exported are both networks at 640x640, which they are trained at, and at the frame's size.

    Raises:
        BackendError: None is given and ultralytics is not installed.
        InputError: A given file is missing.
    """
    if missing := [path for path in given if not path.is_file()]:
        raise InputError(f"--yolo-onnx {missing[0]}: no such file")
    if given:
        return [(path.stem, path) for path in given]
    sizes = dict.fromkeys([(640, 640), (-(-frame_size[0] // 32) * 32, -(-frame_size[1] // 32) * 32)])
    found = []
    for name in YOLO_NAMES:
        for size in sizes:
            path = cache / f"{name}_{size[0]}x{size[1]}.onnx"
            if not path.is_file():
                _export_yolo(name, size, path)
            found.append((path.stem, path))
    return found


def _export_yolo(name: str, size: tuple[int, int], path: Path) -> None:
    """Lets ultralytics (AGPL: only used where somebody installed it) write a graph of one class."""
    import importlib
    import os
    import re
    import tempfile

    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    try:
        ultralytics = importlib.import_module("ultralytics")
    except ImportError as error:
        raise BackendError(
            f"YOLO needs ultralytics ({error}): pip install ultralytics (AGPL) or --yolo-onnx with exported files"
        ) from None
    generation = re.sub(r"[nslmx]-pose$", "-pose", name)
    described = Path(str(ultralytics.__file__)).parent / "cfg" / "models" / "11" / f"{generation}.yaml"
    path, before = path.absolute(), Path.cwd()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not described.is_file():
        raise BackendError(
            f"ultralytics {ultralytics.__version__} has no {described.name}; give --yolo-onnx exported files"
        )
    with tempfile.TemporaryDirectory() as folder:
        one_class = re.sub(r"(?m)^nc: *\d+", "nc: 1", described.read_text())
        (Path(folder) / f"{generation}.yaml").write_text(one_class)
        os.chdir(folder)  # it writes into the working folder, and takes digits of a longer path for its own
        try:
            exported = ultralytics.YOLO(f"./{name}.yaml").export(
                format="onnx", imgsz=(size[1], size[0]), simplify=False
            )
            write_atomically(path, Path(exported).read_bytes())
        except Exception as error:  # of ultralytics, whose errors share no class
            raise BackendError(
                f"ultralytics {ultralytics.__version__} cannot export {name} ({first_line(error)}); "
                "give --yolo-onnx exported files"
            ) from None
        finally:
            os.chdir(before)


def _timings(started: float, prepared: float, inferred: float, done: float) -> Timings:
    return {
        "preprocess": (prepared - started) * 1e3,
        "infer": (inferred - prepared) * 1e3,
        "post": (done - inferred) * 1e3,
        "total": (done - started) * 1e3,
    }
