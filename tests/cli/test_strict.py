"""Commands where asserts are left out and warnings are errors, as some programs run Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli import TINY_OPTIONS
from tests.runs.test_owned import OLD_SCAN

ALL = """
import sys
from dainr.cli import app
for line in sys.stdin.read().splitlines():
    if code := app(line.split("\\t"), standalone_mode=False):
        sys.exit(code)
assert False, "asserts are on"
"""


@pytest.mark.slow
def test_commands_run_without_asserts_and_without_warnings(tmp_path: Path) -> None:
    run, cine = tmp_path / "run", tmp_path / "cine.nii.gz"
    commands = [
        ["fit", OLD_SCAN, "-o", run, "-q", *TINY_OPTIONS, "--iterations", "2"],
        ["export", run, cine, "--frames", "3"],
        ["report", run, "--repair"],
        ["report", run],
        ["evaluate", run, OLD_SCAN],
    ]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-O", "-c", ALL],
        input="\n".join("\t".join(map(str, command)) for command in commands),
        env=os.environ | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Warning" not in ended.stderr
    assert cine.is_file()
