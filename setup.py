"""What ROS 2 needs besides pyproject.toml, which holds all metadata: the package's place in the ament index."""

from pathlib import Path

from setuptools import setup

PACKAGE = "orpose"


def installed_files() -> list[tuple[str, list[str]]]:
    """Folder below the prefix, and the files that go there."""
    folders = ("launch", "rviz", "config", "config/cameras")
    share = [
        (f"share/{PACKAGE}/{folder}", sorted(str(path) for path in Path(folder).glob("*.*") if path.is_file()))
        for folder in folders
    ]
    return [
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *share,
    ]


setup(
    data_files=installed_files(),
    # `ros2 run` and launch look for executables here; pip does not mind.
    options={
        "develop": {"script_dir": f"$base/lib/{PACKAGE}"},
        "install": {"install_scripts": f"$base/lib/{PACKAGE}"},
    },
)
