"""What reading and writing make a program import, and what they leave to those who need it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dainr.io.scans.formats import WRITERS
from tests.io import small_scan

OF_IMAGES = ("nibabel", "pydicom", "imageio")
OTHERS = ("torch", "numba", "finufft", "scipy", "matplotlib", *OF_IMAGES)
READ = "from pathlib import Path; from dainr.io.scans.formats import read; read(Path(sys.argv[1]))"


def imported(code: str, names: tuple[str, ...], *arguments: object) -> list[str]:
    """Those of the modules that a fresh Python has imported once it has run the code."""
    found = "[name for name in json.loads(sys.argv[-1]) if name in sys.modules]"
    probe = f"import json, sys; {code}; print(json.dumps({found}))"
    command = [sys.executable, "-c", probe, *map(str, arguments), json.dumps(names)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_who_waits_for_a_scan_waits_for_nothing_else_first() -> None:
    assert imported("import dainr.io", (*OTHERS, "numpy", "jaxtyping", "h5py", "dainr.scan")) == []


@pytest.mark.parametrize(("kind", "needed"), [("native", []), ("ismrmrd", ["ismrmrd"])])
def test_a_format_is_read_by_its_own_library_alone(tmp_path: Path, kind: str, needed: list[str]) -> None:
    WRITERS[kind](small_scan(), tmp_path / "scan.h5")
    assert imported(READ, (*OTHERS, "ismrmrd"), tmp_path / "scan.h5") == needed


def test_libraries_of_image_formats_wait_for_the_image() -> None:
    assert imported("import dainr.export, dainr.io.images.series", (*OF_IMAGES, "ismrmrd")) == []
