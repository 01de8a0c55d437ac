"""The compose files fit together, and with the Dockerfiles; `docker compose config` reads them where it is there."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMBINATIONS = [
    ("compose.yaml",),
    ("compose.yaml", "compose.gpu.yaml"),
    ("compose.yaml", "compose.jetson.yaml"),
    ("compose.yaml", "compose.usb.yaml"),
    ("compose.yaml", "compose.gpu.yaml", "compose.usb.yaml"),
    ("compose.yaml", "compose.jetson.yaml", "compose.usb.yaml"),
    ("compose.yaml", "compose.sros2.yaml"),
    ("compose.yaml", "compose.jetson.yaml", "compose.sros2.yaml"),
]


def merged(first: Any, second: Any) -> Any:
    """As compose merges: mappings key by key, volumes one after the other, of anything else the later one."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first | {key: merged(first[key], value) if key in first else value for key, value in second.items()}
    return first + second if isinstance(first, list) and "engines:" in first[0] else second


def with_defaults(text: str) -> str:
    """Nobody has to set a variable: each has a default."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    assert "${" not in text
    return text


@pytest.fixture(params=COMBINATIONS, ids="+".join)
def services(request) -> dict[str, dict[str, Any]]:
    content: dict[str, Any] = {}
    for name in request.param:
        content = merged(content, yaml.safe_load(with_defaults((ROOT / "docker" / name).read_text(encoding="utf-8"))))
    return content["services"]


def test_camera_node_and_viewer_share_what_dds_needs(services):
    assert set(services) == {"camera", "node", "viewer"}
    for name, service in services.items():
        assert (service["network_mode"], service["ipc"]) == ("host", "host"), name
        assert (
            "FASTDDS_BUILTIN_TRANSPORTS" not in service["environment"]
        )  # with LARGE_DATA drivers outside are not found
        assert service["environment"]["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"  # frames stay here
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])


def test_every_image_is_built_from_a_stage_that_exists(services, all_dockerfiles):
    built = {}
    for service in services.values():
        if "build" in service:
            assert service["build"]["context"] == ".."
            dockerfile = all_dockerfiles[service["build"]["dockerfile"]]
            assert service["build"]["target"] in dockerfile.images
            built[service["image"]] = service["build"]["target"]
    assert {service["image"] for service in services.values()} <= set(built)


def test_what_the_services_run_is_in_the_image(services, all_dockerfiles):
    node = services["node"]
    dockerfile = all_dockerfiles[node["build"]["dockerfile"]]
    image = dockerfile.chain(node["build"]["target"])
    assert any("/config/fastdds.xml" in text for text in dockerfile.inherited(node["build"]["target"], "ENV"))
    assert "command" not in node  # the image's own: its parameter file
    assert any("/home/orpose/.cache/orpose" in text for stage in image for text in dockerfile.of(stage, "RUN"))
    assert node["volumes"][0] == "engines:/home/orpose/.cache/orpose"
    clip = [word for word in services["camera"]["command"] if word.endswith("/or_clip")]
    assert all(f"samples/or_clip {path}" in dockerfile.inherited(node["build"]["target"], "COPY") for path in clip)


def test_secured_services_have_an_enclave_of_the_policy_and_no_private_key():
    policy = ElementTree.parse(ROOT / "docker/sros2/policies.xml").getroot()
    text = with_defaults((ROOT / "docker/compose.sros2.yaml").read_text(encoding="utf-8"))
    services = yaml.safe_load(text)["services"]
    used = {service["environment"]["ROS_SECURITY_ENCLAVE_OVERRIDE"] for service in services.values()}
    used |= set(re.findall(r"OVERRIDE=(\S+?),", text))
    elsewhere = {"/orpose/rep155"}  # started by hand where it is wanted
    assert used | elsewhere == {enclave.attrib["path"] for enclave in policy.iter("enclave")}
    for service in services.values():
        assert service["environment"]["ROS_SECURITY_STRATEGY"] == "Enforce"
        assert [volume.split(":")[1] for volume in service["volumes"]] == ["/keystore/enclaves", "/keystore/public"]


def test_each_computer_gets_its_backend(all_dockerfiles):
    for name, stage, file in (
        ("docker/Dockerfile.x86", "cpu", "x86_cpu.yaml"),
        ("docker/Dockerfile.x86", "gpu", "x86_gpu.yaml"),
        ("docker/Dockerfile.jetson", "node", "jetson.yaml"),
    ):
        (command,) = all_dockerfiles[name].of(stage, "CMD")
        assert f"params_file:=/opt/orpose/share/orpose/config/{file}" in command
        assert (ROOT / "config" / file).exists()


def test_the_viewer_sends_no_camera_images_and_changes_nothing():
    parameters = yaml.safe_load((ROOT / "docker/foxglove.yaml").read_text())["/**"]["ros__parameters"]
    assert parameters["address"] == "127.0.0.1"
    assert parameters["capabilities"] == ["connectionGraph"]
    patterns = parameters["topic_whitelist"]

    def is_sent(topic: str) -> bool:
        return any(re.fullmatch(pattern, topic) for pattern in patterns)

    assert [is_sent(f"/orpose/camera/{name}") for name in ("persons", "markers", "overlay")] == [True] * 3
    assert is_sent("/or1/orpose/camera/persons")
    cameras = ("/camera/image_raw", "/camera/image_raw/compressed", "/or1/camera/depth/image_raw", "/rgb/image_raw")
    assert [topic for topic in cameras if is_sent(topic)] == []


@pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
def test_compose_reads_them(names):
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("no docker compose here")
    files = [word for name in names for word in ("-f", str(ROOT / "docker" / name))]
    ended = subprocess.run(["docker", "compose", *files, "config", "--quiet"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
