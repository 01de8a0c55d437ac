"""Files of `orpose export` that are not .onnx: OpenVINO's .xml and torch's .pt2, of small graphs; what is refused."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orpose_models.errors import ConfigError, ModelError
from orpose_models.files import file_sha256
from orpose_models.runtime import PoseEstimator, RuntimeConfig
from orpose_models.runtime.onnx_file import read_metadata


@pytest.fixture
def image() -> np.ndarray:
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:196, 50:82, 0] = 255
    return image


def one_line(config: RuntimeConfig) -> str:
    """Of the error that loading ends with."""
    with pytest.raises(ModelError) as caught:
        PoseEstimator(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- OpenVINO --------------------------------------------------------------------------------------------------------


@pytest.fixture
def xml(fake_model: Path, tmp_path: Path) -> Path:
    """As `orpose export --format openvino` writes it."""
    openvino = pytest.importorskip("openvino")
    from orpose_models.runtime.backend_openvino import CORE

    model = CORE.read_model(str(fake_model))
    for name, value in read_metadata(fake_model).items():
        model.set_rt_info(value, ["framework", name])
    path = tmp_path / "fake.xml"
    openvino.save_model(model, str(path), compress_to_fp16=False)
    model.set_rt_info(file_sha256(path.with_suffix(".bin")), ["framework", "orpose.bin_sha256"])
    openvino.save_model(model, str(path), compress_to_fp16=False)
    return path


def test_an_xml_file_answers_as_its_graph(xml: Path, fake_model: Path, image: np.ndarray):
    ours, theirs = (PoseEstimator(RuntimeConfig(model=str(path), backend="openvino")) for path in (xml, fake_model))
    assert ours.info == theirs.info
    (person,), (same,) = ours.estimate(image).persons, theirs.estimate(image).persons
    np.testing.assert_array_equal(person.keypoints, same.keypoints)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.with_suffix(".bin").unlink(), "fake.bin is not beside it; copy both files, or export again"),
        (
            lambda path: damaged_content(path.with_suffix(".bin")),
            "damaged, or of another .xml than fake.xml; copy both",
        ),
        (lambda path: path.with_suffix(".bin").write_bytes(b"1234"), "OpenVINO cannot load it, is the file complete?"),
        (lambda path: path.write_text(path.read_text()[:-2000]), "OpenVINO cannot load it, is the file complete?"),
        (lambda path: path.write_text("text"), "OpenVINO cannot load it, is the file complete?"),
        (lambda path: path.write_text(path.read_text().replace("orpose.format", "x")), "not an orpose model"),
    ],
    ids=["no bin", "other bin", "short bin", "short xml", "text", "foreign"],
)
def test_xml_files_that_are_refused(xml: Path, damage: Callable[[Path], object], message: str):
    damage(xml)
    line = one_line(RuntimeConfig(model=str(xml), backend="openvino"))
    assert line.startswith((f"{xml}: ", f"{xml.with_suffix('.bin')}: "))
    assert message in line


CLOSED_IN_ORDER = """
import os, signal, sys
from orpose_models.runtime import PoseEstimator, RuntimeConfig

first, second = (PoseEstimator(RuntimeConfig(model=sys.argv[1], backend="openvino")) for _ in range(2))
del first
del second
signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_are_heard_after_models_were_closed(fake_model: Path):
    """OpenVINO's Core gives the thread a signal stack, and takes it away."""
    pytest.importorskip("openvino")
    command = [sys.executable, "-c", CLOSED_IN_ORDER, str(fake_model)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "heard\n"), run.stderr


def test_other_backends_say_what_they_read(xml: Path):
    line = one_line(RuntimeConfig(model=str(xml)))
    assert line == f"{xml}: this backend reads .onnx files, got '.xml'"


# --- torch -----------------------------------------------------------------------------------------------------------


def write_program(path: Path, outputs: int = 6, batch: int = 1, built_by: str = "torch 2") -> Path:
    """A program with our interface: one person, whose box's right edge is the sum of the image's values."""
    torch = pytest.importorskip("torch")
    from orpose_models.export.metadata import ModelMetadata, write_description

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([0.0, 0.0, 1.0, 9.0]))
            self.register_buffer("score", torch.full((batch, 1), 0.75))

        def forward(self, image):
            boxes = image.float().sum((1, 2, 3))[:, None, None] * self.weight
            joints, joints_3d = boxes.new_ones(batch, 1, 17, 3), boxes.new_ones(batch, 1, 17, 4)
            ones = torch.ones(batch, dtype=torch.int32)
            return (boxes, self.score + 0, ones[:, None] + 0, joints, joints_3d, ones)[:outputs]

    image = torch.zeros(batch, 48, 64, 3, dtype=torch.uint8)
    torch.export.save(torch.export.export(Small().eval(), (image,), strict=False), str(path))
    facts = {"preset": "lite", "model_id": "small@00000000", "input_size": "64x48", "network_size": "64x48"}
    metadata = ModelMetadata(**facts, batch=batch, max_persons=1, precision="float32 / float32 weights")
    write_description(path, metadata, {"built_by": built_by})
    return path


@pytest.fixture
def pt2(tmp_path: Path) -> Path:
    return write_program(tmp_path / "small.pt2")


def options(path: Path, **further: object) -> RuntimeConfig:
    return RuntimeConfig.model_validate({"model": str(path), "backend": "torch", "threads": 1, **further})


def test_a_program_runs(pt2: Path):
    estimator = PoseEstimator(options(pt2))
    assert (estimator.backend, estimator.info.model_id, estimator.info.input_size) == (
        "torch",
        "small@00000000",
        (64, 48),
    )
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[3, 4, 1] = 5
    (person,) = estimator.estimate(picture).persons
    assert (person.score, *person.bbox_xywh) == (0.75, 0, 0, 5, 45)


def test_its_batch_is_the_programs(tmp_path: Path):
    path = write_program(tmp_path / "two.pt2", batch=2)
    assert PoseEstimator(options(path)).info.batch == 2
    assert PoseEstimator(options(path, torch_batch=2)).info.batch == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"torch_device": "cuda"},
            r"torch_device cuda: .*small\.pt2 is for the processor; name its \.safetensors file",
        ),
        ({"torch_size": "640x480"}, r"torch_size: .*small\.pt2 has 64x48, which is fixed"),
        ({"torch_batch": 3}, r"torch_batch: .*small\.pt2 has 1, which is fixed"),
    ],
)
def test_options_that_a_program_has_decided(pt2: Path, given: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        PoseEstimator(options(pt2, **given))


def rewrite(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """Changes parts of an archive and gives its description the new sha256."""

    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, change(name, content))
    beside = path.with_name(path.name + ".json")
    facts = json.loads(beside.read_text())
    beside.write_text(json.dumps({**facts, "orpose.sha256": file_sha256(path)}))


def damaged_content(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.with_name("small.pt2.json").unlink(), "small.pt2.json is not beside it; copy both files"),
        (lambda path: path.with_name("small.pt2.json").write_text("{"), "small.pt2.json: not JSON ("),
        (lambda path: path.with_name("small.pt2.json").write_text("[1]"), "expected one JSON object of texts"),
        (
            lambda path: path.with_name("small.pt2.json").write_text("{}"),
            "small.pt2.json says none: damaged, or another",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "its sha256 is "),
        (damaged_content, "its sha256 is "),
        (lambda path: write_program(path, outputs=5), "outputs nms_converged are missing; export it again"),
        (lambda path: write_program(path, built_by="torch_tensorrt 2"), "orpose.built_by is torch_tensorrt 2; backend"),
        (
            lambda path: rewrite(path, lambda name, content: b"{}" if "model.json" in name else content),
            "cannot load it (",
        ),
    ],
    ids=["no json", "cut json", "list", "empty json", "cut", "flipped bit", "outputs", "other library", "no program"],
)
def test_programs_that_are_refused(pt2: Path, damage: Callable[[Path], object], message: str):
    damage(pt2)
    line = one_line(options(pt2))
    assert line.startswith(str(pt2))
    assert message in line


class Runs:
    def __reduce__(self) -> object:
        return exec, ("raise SystemExit(7)",)


def pickled(name: str, content: bytes) -> bytes:
    """Torch itself would unpickle this: example inputs that are no plain tensors."""
    if not name.endswith("sample_inputs/model.pt"):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for part, value in parts.items():
            archive.writestr(part, pickle.dumps(Runs()) if part.endswith("data.pkl") else value)
    return out.getvalue()


def says_pickled(name: str, content: bytes) -> bytes:
    return content.replace(b'"use_pickle": false', b'"use_pickle": true') if "weights_config" in name else content


@pytest.mark.parametrize(
    ("change", "message"), [(pickled, "Weights only load failed"), (says_pickled, "weight is pickled")]
)
def test_nothing_is_unpickled(pt2: Path, change: Callable[[str, bytes], bytes], message: str):
    rewrite(pt2, change)
    line = one_line(options(pt2))
    assert "not a program of plain tensors" in line
    assert message in line


def test_machine_code_is_refused(pt2: Path):
    with zipfile.ZipFile(pt2, "a") as archive:
        archive.writestr("small/data/aotinductor/model/code.so", b"")
    rewrite(pt2, lambda name, content: content)
    assert "it holds small/data/aotinductor/model/code.so" in one_line(options(pt2))
