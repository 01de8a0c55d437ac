"""Builds orpose_msgs with colcon into the virtual environment that runs this file (`make msgs`).

Only for ROS 2 from pip: the wheels make the environment an ament prefix, and with orpose_msgs installed into the same
prefix nothing needs sourcing. With ROS from apt, build the workspace with colcon as usual (README).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

WORKSPACE = Path(__file__).resolve().parent
PREFIX = Path(sys.prefix)


def main() -> int:
    problem = find_problem()
    if problem:
        print(f"build_msgs.py: {problem}", file=sys.stderr)
        return 2
    mend_python_paths(PREFIX / "share")
    return build()


def find_problem() -> str | None:
    """What is missing for the build, and what to do about it; None when all is there."""
    if sys.prefix == sys.base_prefix:
        return f"{sys.executable} is not in a virtual environment; run `make msgs`, or colcon for ROS from apt"
    if not (PREFIX / "share/rosidl_default_generators").is_dir():
        return f"{PREFIX} has no rosidl_default_generators; run `{sys.executable} -m pip install -e '.[ros]'` first"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return f"no Python.h in {sysconfig.get_path('include')}; install Python's headers (Debian, Ubuntu: python3-dev)"
    if not shutil.which("g++") and not os.environ.get("CXX"):
        return "no C++ compiler; install g++, or name another one in the environment variable CXX"
    return None


def mend_python_paths(share: Path) -> None:
    """The wheels' CMake files name the Python of the machine they were built on: name ours instead."""
    build_include = re.compile(r"/opt/python/cp\d+-cp\d+/include/python[\d.]+")
    build_packages = re.compile(r"/opt/python/cp\d+-cp\d+/lib/python[\d.]+/site-packages")
    for path in share.glob("*/cmake/export_*__rosidl_generator_pyExport.cmake"):
        text = path.read_text()
        mended = build_include.sub(lambda _: sysconfig.get_path("include"), text)
        mended = build_packages.sub(lambda _: sysconfig.get_path("purelib"), mended)
        if mended != text:
            path.write_text(mended)


def build() -> int:
    build_base = WORKSPACE / "build" / PREFIX.name
    shutil.rmtree(build_base, ignore_errors=True)  # seconds to build, and a stale CMake cache names another place
    scripts = sysconfig.get_path("scripts")
    environment = os.environ | {
        "AMENT_PREFIX_PATH": str(PREFIX),
        "CMAKE_PREFIX_PATH": str(PREFIX),
        "PATH": scripts + os.pathsep + os.environ.get("PATH", os.defpath),
        "PYTHONWARNINGS": "ignore",
    }
    command = [
        *(f"{scripts}/colcon", "--log-base", str(WORKSPACE / "log"), "build"),
        *("--base-paths", str(WORKSPACE / "src/orpose_msgs"), "--build-base", str(build_base)),
        *("--merge-install", "--install-base", str(PREFIX)),
        *("--cmake-args", "-G", "Ninja", f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF"),
    ]
    if subprocess.run(command, env=environment).returncode:
        return 1
    return subprocess.run([sys.executable, "-c", "import orpose_msgs.msg"]).returncode


if __name__ == "__main__":
    sys.exit(main())
