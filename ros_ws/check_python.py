"""Says whether this Python can take the pip packages of ROS 2, and if not, why and what to do. Exit code 0 or 2."""

import importlib.util
import platform
import sys

OLDEST, NEWEST = (3, 10), (3, 13)


def find_problem():
    """What is missing, and what to do about it; None when all is there."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return f"Python {version} ({sys.executable}): expected 3.10 to 3.13; name one with `make PYTHON=...`"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return (
            f"ROS 2 has pip packages for Linux on x86-64 only, this is {platform.system()} on {platform.machine()}; "
            "use ROS 2 from apt or a ros: Docker image (README, In your own colcon workspace)"
        )
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        return f"Python {version} has no venv module; Debian, Ubuntu: apt install python{version}-venv"
    return None


if __name__ == "__main__":
    problem = find_problem()
    if problem:
        print("check_python.py: " + problem, file=sys.stderr)
        sys.exit(2)
