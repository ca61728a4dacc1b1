import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import typer

from dainr import __version__
from dainr.cli import app

from . import CONSOLE_SCRIPT, invoke, succeed

GROUP = typer.main.get_command(app)
COMMANDS = list(GROUP.commands)

PROBE = """
import json, sys
from typer.testing import CliRunner
from dainr.cli import app
codes = {name: CliRunner().invoke(app, [name, "--help"]).exit_code for name in sys.argv[1:]}
heavy = [m for m in ("torch", "numpy", "matplotlib", "h5py") if m in sys.modules]
print(json.dumps({"codes": codes, "heavy": heavy}))
"""


def console_script(*arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"COLUMNS": "240"}
    return subprocess.run([CONSOLE_SCRIPT, *arguments], capture_output=True, text=True, env=environment, check=False)


def example(name: str) -> list[str]:
    lines = (GROUP.commands[name].help or "").splitlines()
    (line,) = [line for line in lines if line.startswith("Example: ")]
    return shlex.split(line.removeprefix("Example: "))


def test_help_lists_every_command() -> None:
    shown = console_script("--help")
    assert shown.returncode == 0
    assert shown.stderr == ""
    for name in COMMANDS:
        assert f" {name} " in shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_shows_its_example(name: str) -> None:
    shown = console_script(name, "--help")
    assert shown.returncode == 0
    assert f"Example: dainr {name}" in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    probe = [sys.executable, "-c", PROBE, *COMMANDS]
    found = json.loads(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
    assert found == {"codes": dict.fromkeys(COMMANDS, 0), "heavy": []}


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_name_options_that_exist(name: str) -> None:
    program, command, *arguments = example(name)
    assert (program, command) == ("dainr", name)
    assert GROUP.commands[name].make_context(name, arguments).args == []


def test_help_of_fit_shows_what_happens_without_an_option() -> None:
    shown = " ".join(console_script("fit", "--help").stdout.split())
    for default in ("default", "auto", "0", "all", "the file's", "SCAN's name"):
        assert re.search(rf"default: \(?{default}", shown), default


def test_version() -> None:
    assert succeed("--version").stdout == f"dainr {__version__}\n"


@pytest.mark.parametrize("arguments", [["nosuchcommand"], ["fit"], ["fit", "scan.h5", "--nosuchoption"]])
def test_wrong_usage_exits_2_and_shows_the_way_to_help(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "dainr" in result.stderr
    assert "-h" in result.stderr
