"""`dainr serve` as a command: what it refuses, what it says, its check, and pipes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import GRIDDING, TINY_OPTIONS, assert_one_error, invoke, succeed
from tests.serve import stream

SERVE = (sys.executable, "-m", "dainr.cli", "serve")


@pytest.mark.parametrize(
    "options",
    [
        ("--images", "rgb"),
        ("--presets", "nowhere"),
        ("--preview", "nothing"),
        ("--largest", "much"),
        ("--patience", "long"),
        ("--method", "magic"),
        ("--set", "magic=1"),
        ("--spokes-per-frame", "5", "--frames-per-cycle", "5"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(options: tuple[str, ...]) -> None:
    assert_one_error(invoke("serve", *options), 2)


def test_an_address_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    assert_one_error(invoke("serve", "--host", "192.0.2.1", "--keep", tmp_path), 2)


@pytest.mark.slow
def test_the_check_of_an_installation_ends_well() -> None:
    said = succeed("serve", "--check", *TINY_OPTIONS).stdout
    assert "images: 6 came back\n" in said
    assert "<- wrong" not in said


@pytest.mark.slow
def test_a_scan_goes_through_pipes(radial_stream: Path) -> None:
    content = stream(radial_stream)
    done = subprocess.run([*SERVE, "--stdio", *GRIDDING], input=content, capture_output=True, check=True)
    assert done.stdout.startswith(b"\3\0")
    assert done.stdout.endswith(b"\4\0")
    assert b'"ended": "done"' in done.stderr
    broken = subprocess.run([*SERVE, "--stdio", *GRIDDING], input=content[:-500], capture_output=True, check=False)
    assert broken.returncode == 1
    assert b'"ended": "broken"' in broken.stderr
