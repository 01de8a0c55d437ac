"""Other nodes of the same full name: ROS 2 lets them run, and nobody can tell whose answers and services are whose."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node


def namesake_warnings(node: Node) -> list[DiagnosticStatus]:
    """A warning for /diagnostics while another node has this one's name, else nothing."""
    own = (node.get_name(), node.get_namespace())
    others = node.get_node_names_and_namespaces().count(own) - 1
    if others < 1:
        return []
    name = node.get_fully_qualified_name()
    advice = "both answer every image; end one of them, or start it with `-r __node:=NAME` or `-r __ns:=/NAMESPACE`"
    message = f"{others} other node(s) with the name {name}: {advice}"
    return [DiagnosticStatus(level=DiagnosticStatus.WARN, name=f"{name}: name", message=message)]
