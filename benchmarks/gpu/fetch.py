"""Fetch the wheels that a GPU machine without a package registry needs, and list them in wheels.txt.

    python -m benchmarks.gpu.fetch FOLDER [--python 3.12]

They are what dainr and its tests import beyond torch for CUDA and the usual packages of such a machine (numpy, scipy,
h5py, numba, matplotlib, pytest, ...), in the versions of constraints.txt, for Linux on x86-64. offline.py uses them.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("wheels.txt")
GLIBC = ("2_17", "2_27", "2_28")  # what wheels may be built for; pip takes each by its exact name
NAMES = (
    *("finufft", "torchkbnufft", "ismrmrd", "xsdata", "nibabel", "pydicom", "tomli_w", "platformdirs"),
    *("dask", "distributed", "zict", "tblib", "locket", "partd", "tornado"),
    *("typer", "pydantic", "pydantic_core", "annotated-types", "typing-inspection", "typing_extensions"),
    *("beartype", "sigpy", "PyWavelets"),  # of the tests
)


def main() -> None:
    """Download into the folder, then write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="version on the GPU machine")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(download(asked.folder, asked.python), check=True)
    LIST.write_text("".join(f"{line}\n" for line in listed(asked.folder.glob("*.whl"))), encoding="utf-8")
    print(LIST.read_text(encoding="utf-8"), end="")


def download(folder: Path, python: str) -> list[str]:
    """The command that fetches them, each alone."""
    platforms = [word for version in GLIBC for word in ("--platform", f"manylinux_{version}_x86_64")]
    only = ["--python-version", python, "--implementation", "cp", *platforms, "--only-binary=:all:", "--no-deps"]
    return [sys.executable, "-m", "pip", "download", "-q", *only, "-d", str(folder), *pinned()]


def pinned() -> list[str]:
    """The requirements, by the versions of constraints.txt. Raises KeyError for a package that is not pinned."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    versions = {line.partition("==")[0]: line for line in lines}
    return [versions[name] for name in NAMES]


def listed(wheels: Iterable[Path]) -> list[str]:
    """Name, version and bytes of every wheel, then how many and how much it is in all."""
    files = sorted(wheels, key=lambda path: path.name.lower())
    lines = [f"{path.name.split('-')[0]} {path.name.split('-')[1]} {path.stat().st_size}" for path in files]
    return [*lines, f"# {len(files)} wheels, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB"]


if __name__ == "__main__":
    main()
