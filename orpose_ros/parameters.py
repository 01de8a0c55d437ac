"""ROS parameters made from the configuration model, so that names, defaults, descriptions and ranges exist once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from orpose_models.errors import ConfigError
from orpose_models.settings import build_settings
from orpose_ros.config import DYNAMIC_PARAMETERS, NodeConfig, ros_value

#: Parameters that ROS itself declares, if it needs them.
_ROS_OWN = "qos_overrides."


def declare_parameters(node: Node) -> None:
    """Declares one parameter for each field of `NodeConfig`.

    Raises:
        ConfigError: The node was given a parameter that it has not.
    """
    for name, field in NodeConfig.model_fields.items():
        node.declare_parameter(name, ros_value(field.default), descriptor_of(name, field))
    _require_known(node)


def read_config(node: Node) -> NodeConfig:
    """The node's parameters as a configuration.

    Raises:
        ConfigError: A value that does not fit, named with what was expected.
    """
    values = {name: node.get_parameter(name).value for name in NodeConfig.model_fields}
    return build_settings(NodeConfig, values, "parameters")


def check_change(config: NodeConfig, parameters: Sequence[Parameter]) -> tuple[NodeConfig, SetParametersResult]:
    """The configuration with some parameters changed, or the old one and the reason against the change."""
    changes = {parameter.name: parameter.value for parameter in parameters if parameter.name in NodeConfig.model_fields}
    try:
        changed = build_settings(NodeConfig, config.model_dump() | changes, "parameters")
    except ConfigError as error:
        return config, SetParametersResult(successful=False, reason=str(error))
    return changed, SetParametersResult(successful=True)


def descriptor_of(name: str, field: FieldInfo) -> ParameterDescriptor:
    """Description, range, choices and whether the parameter may change."""
    descriptor = ParameterDescriptor(
        name=name,
        description=field.description or "",
        read_only=name not in DYNAMIC_PARAMETERS,
        # `downsample:=12` is an integer to ROS; the configuration model converts and checks it.
        dynamic_typing=isinstance(field.default, float),
    )
    if get_origin(field.annotation) is Literal:
        descriptor.additional_constraints = "one of " + ", ".join(get_args(field.annotation))
    bounds = {key: getattr(item, key) for item in field.metadata for key in ("ge", "le") if hasattr(item, key)}
    if {"ge", "le"} <= bounds.keys():
        if isinstance(field.default, float):
            limits = FloatingPointRange(from_value=float(bounds["ge"]), to_value=float(bounds["le"]))
            descriptor.floating_point_range = [limits]
        else:
            descriptor.integer_range = [IntegerRange(from_value=bounds["ge"], to_value=bounds["le"], step=1)]
    return descriptor


def _require_known(node: Node) -> None:
    """ROS takes a misspelt parameter in silence, and the one that was meant keeps its default: `downsample`, say.

    Raises:
        ConfigError: The command line or a parameter file names a parameter that the node has not.
    """
    for name in node._parameter_overrides:
        if not node.has_parameter(name) and not name.startswith(_ROS_OWN):
            near = difflib.get_close_matches(name, NodeConfig.model_fields, n=1)
            advice = (
                f"did you mean '{near[0]}'?" if near else "what is another node's goes under its name, not under /**"
            )
            raise ConfigError(f"parameters: '{name}' is no parameter of the node {node.get_name()}; {advice}")
