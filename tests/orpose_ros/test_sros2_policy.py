"""The SROS 2 policy allows what the real node does, and nothing besides."""

from __future__ import annotations

import fnmatch
import importlib.util
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from rclpy import create_node
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy

from orpose_ros.node import PoseNode
from orpose_ros.player import Player

SROS2 = Path(__file__).resolve().parents[2] / "docker/sros2"
POLICY = ElementTree.parse(SROS2 / "policies.xml").getroot()
#: Allowed, but only needed with `use_sim_time`, with `tf` (whose messages not every test machine has), or by a camera
#: driver in the player's place.
OPTIONAL = {"/clock", "/tf", "/tf_static", "*/camera_info"}


def allowed(node: str, kind: str, right: str) -> list[str]:
    """Full names, `*` among them, that a node may use: kind topic, right publish; kind service, right reply; ..."""
    (profile,) = POLICY.findall(f".//profile[@node='{node}']")
    ns = profile.attrib["ns"].rstrip("/")
    names = [item.text or "" for item in profile.findall(f"{kind}s[@{right}='ALLOW']/{kind}")]
    return [
        name if name[0] == "/" else f"{ns}/{node}{name[1:]}" if name[0] == "~" else f"{ns}/{name}" for name in names
    ]


def difference(names: list[str], patterns: list[str]) -> tuple[list[str], list[str]]:
    """Names that no pattern allows, and patterns that no name needs."""
    refused = [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    needless = [
        pattern
        for pattern in patterns
        if pattern.lstrip("/") not in {name.lstrip("/") for name in OPTIONAL}
        and not any(fnmatch.fnmatchcase(name, pattern) for name in names)
    ]
    return refused, needless


def names_of(node: Node, what: str, namespace: str) -> list[str]:
    """Topics or services of a node as they were without its namespace."""
    found = getattr(node, f"get_{what}_names_and_types_by_node")(node.get_name(), node.get_namespace())
    return [name.removeprefix(namespace) for name, _ in found]


@pytest.fixture(params=[False, True], ids=["raw", "compressed"])
def node(request, ros, namespace, fake_model) -> PoseNode:
    values = {"model": str(fake_model), "threads": 1, "overlay": True, "compressed": request.param}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = ros.add(PoseNode(namespace=namespace, parameter_overrides=overrides))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.failure
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.failure
    return node


def test_the_node(node, namespace):
    assert difference(names_of(node, "publisher", namespace), allowed("orpose", "topic", "publish")) == ([], [])
    # Services of newer distributions may be allowed without being there.
    refused, needless = difference(names_of(node, "service", namespace), allowed("orpose", "service", "reply"))
    assert (refused, set(needless) - {"/orpose/get_type_description"}) == ([], set())
    space = ["/camera/camera_info", "/camera/depth/image_raw"]
    (image,) = set(names_of(node, "subscriber", namespace)) - set(space)
    subscribed = allowed("orpose", "topic", "subscribe")
    assert difference(names_of(node, "subscriber", namespace), subscribed)[0] == []
    both = ["/camera/image_raw", "/camera/image_raw/compressed"]
    assert image in both
    assert difference([*both, *space], subscribed) == ([], [])
    assert names_of(node, "client", namespace) == []


def test_the_player(ros, namespace):
    node = ros.add(create_node("orpose_player", namespace=namespace))
    for compressed in (False, True):
        Player(node, "camera", compressed, ReliabilityPolicy.RELIABLE)
    published, subscribed = names_of(node, "publisher", namespace), names_of(node, "subscriber", namespace)
    assert difference(published, allowed("orpose_player", "topic", "publish")) == ([], [])
    assert difference(subscribed, allowed("orpose_player", "topic", "subscribe")) == ([], [])


def test_the_rep_155_bridge_sees_no_image():
    published = ["tracked", "cam1_4/skeleton2d", "cam1_4/roi", "cam1_4/position"]
    names = [f"/humans/bodies/{name}" for name in published] + ["/parameter_events", "/rosout"]
    assert difference(names, allowed("orpose_rep155", "topic", "publish")) == ([], [])
    subscribed = allowed("orpose_rep155", "topic", "subscribe")
    assert difference(["/orpose/camera/persons", "/camera/image_raw"], subscribed) == (["/camera/image_raw"], [])


@pytest.mark.parametrize("node", ["orpose_health", "foxglove_bridge"])
def test_who_only_listens_gets_no_camera_image_and_says_nothing(node):
    assert set(allowed(node, "topic", "publish")) <= {"/parameter_events", "/rosout"}
    images = ("/camera/image_raw", "/camera/image_raw/compressed", "/or1/camera/depth/image_raw")
    assert difference(list(images), allowed(node, "topic", "subscribe"))[0] == list(images)


def test_the_comparison_itself():
    assert difference(["/a", "/b/x"], ["/a", "/b/*", "/c", "/clock"]) == ([], ["/c"])
    assert difference(["/d"], []) == (["/d"], [])


def script(*arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "ROS_DOMAIN_ID": "7"}
    return subprocess.run(
        ["/bin/bash", SROS2 / "make_keystore.sh", *arguments], env=environment, capture_output=True, text=True
    )


def test_the_script_calls_ros2_security(tmp_path):
    stand_in = tmp_path / "bin/ros2"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\necho "$@" > "$4/called"\n')
    stand_in.chmod(0o755)
    keystore = tmp_path / "keys"
    keystore.mkdir()
    ended = script("security", path=f"{stand_in.parent}:{os.defpath}")  # a folder that is not there
    assert ended.returncode != 0
    ended = script(str(keystore), path=f"{stand_in.parent}:{os.defpath}")
    assert ended.returncode == 0, ended.stderr
    expected = f"security generate_artifacts --keystore-root-path {keystore} --policy-files {SROS2 / 'policies.xml'}\n"
    assert (keystore / "called").read_text() == expected
    assert f"ROS_SECURITY_KEYSTORE={keystore}" in ended.stdout
    assert "ROS_DOMAIN_ID=7" in ended.stdout


@pytest.mark.skipif(
    importlib.util.find_spec("sros2") is None or not shutil.which("ros2"),
    reason="sros2 is not installed here (apt: ros-...-sros2); that the policy fits the node is tested all the same",
)
def test_sros2_itself_takes_the_policy(tmp_path):
    """The real command makes an identity and signed permissions for each enclave and this domain."""
    environment = os.environ | {"ROS_DOMAIN_ID": "7"}
    command = ["/bin/bash", SROS2 / "make_keystore.sh", tmp_path / "keys"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    for enclave in POLICY.iter("enclave"):
        folder = tmp_path / "keys/enclaves" / enclave.attrib["path"].lstrip("/")
        permissions = ElementTree.parse(folder / "permissions.xml").getroot()
        assert {domain.text for domain in permissions.iter("id")} == {"7"}
        assert [item.text for item in permissions.iter("default")] == ["DENY"]
        assert b"pkcs7-signature" in (folder / "permissions.p7s").read_bytes()
        assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    node = (tmp_path / "keys/enclaves/orpose/node/permissions.xml").read_text()
    assert "rt/orpose/*/persons" in node and "rq/orpose/set_enabledRequest" in node
    assert "ENCRYPT" in (tmp_path / "keys/enclaves/governance.xml").read_text()


@pytest.mark.parametrize(("arguments", "expected"), [((), "expected one"), (("keys",), "no ros2 command")])
def test_the_script_says_what_is_missing(tmp_path, arguments, expected):
    for name in ("dirname", "cat"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    ended = script(*arguments, path=str(tmp_path))
    assert ended.returncode == 2
    assert expected in ended.stderr
