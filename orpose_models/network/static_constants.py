"""A program of fixed shapes whose constants lie ready on its device.

The network makes small tensors as it goes: box weights, grids of samples, tables of joints. On a GPU each is a copy
from the processor in every call, which a CUDA graph must not hold.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from orpose_models.network.static_program import export_program
from orpose_models.network.static_student import StaticStudent

#: Checks of shapes and types, which the exporter made sure of.
_CHECKS = ("_guards_fn", torch.ops.aten._assert_tensor_metadata.default)


def program_with_constants(static: StaticStudent) -> fx.GraphModule:
    """The network as one program on its own device: `(B, H, W, 3)` uint8 -> six tensors in the order of `Poses`."""
    program = export_program(static).module()
    with torch.no_grad():
        fold_constants(program)
    return program


def fold_constants(program: fx.GraphModule) -> None:
    """Computes once, here, whatever does not depend on the program's inputs, and removes its checks."""
    known: dict[fx.Node, Any] = {}
    for node in list(program.graph.nodes):
        if node.target in _CHECKS:
            program.graph.erase_node(node)
        elif node.op == "get_attr":
            known[node] = _attribute(program, str(node.target))
        elif node.op == "call_function" and all(each in known for each in node.all_input_nodes):
            args, kwargs = fx.map_arg((node.args, node.kwargs), lambda each: known[each])
            known[node] = node.target(*args, **kwargs)  # type: ignore[operator]
    for number, (node, value) in enumerate(known.items()):
        if node.op != "get_attr" and isinstance(value, Tensor) and any(user not in known for user in node.users):
            name = f"constant{number}"
            program.register_buffer(name, value.detach(), persistent=False)
            with program.graph.inserting_before(node):
                node.replace_all_uses_with(program.graph.get_attr(name))
    for node in reversed(known):
        if not node.users:  # eliminate_dead_code would keep operations in place
            program.graph.erase_node(node)
    program.recompile()


def _attribute(program: fx.GraphModule, path: str) -> Any:
    value: Any = program
    for name in path.split("."):
        value = getattr(value, name)
    return value
