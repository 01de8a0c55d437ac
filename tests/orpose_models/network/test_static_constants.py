"""A program with its constants in place answers as the network does, and on a GPU copies none from the processor.

No GPU is needed for the second: torch's fake tensors have a device, and an operation on two devices is an error.
"""

from __future__ import annotations

from functools import reduce

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from orpose_models.network import build_student
from orpose_models.network.static_constants import program_with_constants
from orpose_models.network.static_student import StaticStudent


def on_a_fake_gpu(network: StaticStudent, mode: FakeTensorMode) -> StaticStudent:
    """Its weights without values, on "cuda", laid out as the backend does (`in_tensor_core_layout`)."""
    with mode:
        for module in network.modules():
            for tensors in (module._parameters, module._buffers):
                for name, value in tensors.items():
                    if value is None:
                        continue
                    fake = torch.empty(value.shape, dtype=value.dtype, device="cuda")
                    if network.float16 and value.dim() == 4:
                        fake = fake.contiguous(memory_format=torch.channels_last)
                    is_parameter = isinstance(value, torch.nn.Parameter)
                    tensors[name] = torch.nn.Parameter(fake, requires_grad=False) if is_parameter else fake
    return network


@pytest.mark.parametrize("float16", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("preset", ["r50", "r50_single", "lite", "lite_small", "lite_12x"])
def test_nothing_of_the_network_is_on_another_device(preset, float16):
    mode = FakeTensorMode()
    network = on_a_fake_gpu(StaticStudent(build_student(preset), (640, 480), 2, float16=float16).eval(), mode)
    with mode, torch.inference_mode():
        outputs = network(torch.zeros(2, 480, 640, 3, dtype=torch.uint8, device="cuda"))
    assert {output.device.type for output in outputs} == {"cuda"}
    assert [output.dtype for output in outputs] == [
        *(torch.float32, torch.float32, torch.int32),
        *(torch.float32, torch.float32, torch.int32),
    ]


@pytest.mark.parametrize(("preset", "float16"), [("r50", True), ("lite", False)], ids=["r50-fp16", "lite-fp32"])
def test_no_call_copies_a_constant_to_the_gpu(preset, float16):
    """Not even one that is only moved: a CUDA graph could not be recorded."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)  # the exporter keeps small constants as they are
    network = on_a_fake_gpu(StaticStudent(build_student(preset), (640, 480), float16=float16).eval(), mode)
    with mode, torch.no_grad():
        program = program_with_constants(network)
        outputs = program(torch.zeros(1, 480, 640, 3, dtype=torch.uint8, device="cuda"))
    assert {output.device.type for output in outputs} == {"cuda"}
    held = [node.target for node in program.graph.nodes if node.op == "get_attr"]
    assert {reduce(getattr, name.split("."), program).device.type for name in held} == {"cuda"}
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert not [node.format_node() for node in calls if "device" in node.kwargs or not node.all_input_nodes]
    assert len(calls) > 300


@pytest.mark.parametrize("batch", [1, 2])
def test_answers_as_the_network(batch):
    torch.manual_seed(0)
    network = StaticStudent(build_student("lite"), (160, 128), batch).eval()
    program = program_with_constants(network)
    for seed in (1, 2):
        images = torch.randint(0, 256, (batch, 128, 160, 3), generator=torch.Generator().manual_seed(seed)).byte()
        with torch.inference_mode():
            for ours, expected in zip(program(images), network(images), strict=True):
                assert torch.equal(ours, expected)
