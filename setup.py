"""What ROS 2 needs besides pyproject.toml, which holds all metadata: the package's place in the ament index."""

from pathlib import Path

from setuptools import Distribution, setup

PACKAGE = "orpose"
ROOT = Path(__file__).resolve().parent


class PrintableDistribution(Distribution):
    """colcon evaluates the repr of all metadata, and that of a SpecifierSet is no Python: a string is."""

    def parse_config_files(self, *args, **options):
        super().parse_config_files(*args, **options)
        for holder in (self, self.metadata):
            if getattr(holder, "python_requires", None) is not None:
                holder.python_requires = str(holder.python_requires)


def installed_files() -> list[tuple[str, list[str]]]:
    """Folder below the prefix, and the files that go there."""
    folders = ("launch", "rviz", "config", "config/cameras", "config/rooms")
    share = [
        (f"share/{PACKAGE}/{folder}", sorted(str(path) for path in Path(folder).glob("*.*") if path.is_file()))
        for folder in folders
    ]
    return [
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *share,
    ]


# `colcon build --symlink-install` runs a link to this file in its build folder, without what setuptools reads.
for name in ("pyproject.toml", "README.md"):
    if not Path(name).exists():
        Path(name).symlink_to(ROOT / name)

setup(
    distclass=PrintableDistribution,
    data_files=installed_files(),
    # `ros2 run` and launch look for executables here; pip does not mind.
    options={
        "develop": {"script_dir": f"$base/lib/{PACKAGE}"},
        "install": {"install_scripts": f"$base/lib/{PACKAGE}"},
    },
)
