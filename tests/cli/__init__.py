"""Running the command line in this process and in its own, with the settings of a fit that takes a second."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from dainr.cli import app
from tests.conftest import TINY

TINY_OPTIONS = ("--device", "cpu", *(part for pair in TINY for part in ("--set", pair)))
GRIDDING = ("--method", "gridding", "--device", "cpu", "--set", "nufft=finufft")
CONSOLE_SCRIPT = str(Path(sys.executable).with_name("dainr"))


class Result(NamedTuple):
    """How a command ended and what it said."""

    exit_code: int
    stdout: str
    stderr: str


def invoke(*arguments: object) -> Result:
    """Run a command; anything but an orderly exit is raised here."""
    ended = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return Result(ended.exit_code, ended.stdout, ended.stderr)


def succeed(*arguments: object) -> Result:
    """The same, for a command that must end well."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def start(*arguments: object) -> "subprocess.Popen[str]":
    """The console script as a process of its own."""
    command = [CONSOLE_SCRIPT, *(str(a) for a in arguments)]
    environment = os.environ | {"COLUMNS": "160"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests run in the background ignore it
    )


def assert_one_error(result: Result, code: int) -> None:
    """The command failed with this code, and one sentence on stderr says so."""
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("dainr: ")
    assert lines[0].endswith(".")
