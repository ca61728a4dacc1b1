"""Commands in forked processes: what they say, that one which dies costs no other, and that all end with the batch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dainr.studies.batch import forking
from dainr.studies.batch.commands import Commands
from dainr.studies.batch.forking import Forker

# In place of the program: it does what its one argument says, by numbers of signals and of seconds.
COMMANDS = """
import os, sys, time
def main():
    sys.stderr.reconfigure(errors="replace")  # as the program does
    for word in sys.argv[1].split():
        kind, _, value = word.partition(":")
        if kind == "say": print("dainr: " + value * 70000, file=sys.stderr)
        if kind == "die": os.kill(os.getpid(), int(value))
        if kind == "sleep": open("pid", "w").write(str(os.getpid())); time.sleep(float(value))
        if kind == "show": print(os.environ[value], os.getcwd(), file=sys.stderr)
        if kind == "exit": sys.exit(int(value))
"""
SERVE = """
import sys; sys.path[:] = sys.argv[2:]
from dainr.studies.batch import forking
forking.NEEDED = ()
forking.serve("own_commands")
"""

pytestmark = pytest.mark.skipif(not forking.CAN_FORK, reason="only Linux forks commands")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    """Of a batch at work."""
    (tmp_path / "own_commands.py").write_text(COMMANDS)
    monkeypatch.setattr(forking, "SERVE", SERVE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = Commands()
    with found.of_a_batch():
        yield found


def ended(commands: Commands, *words: str, limit_s: float | None = 20.0) -> tuple[int | None, str]:
    process = commands.start([" ".join(words)], dict(os.environ) | {"CUDA_VISIBLE_DEVICES": "GPU-8f"})
    with process:
        try:
            _, said = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            said = b""
    commands.ended(process)
    return process.returncode, said.decode()


def sleeper(folder: Path) -> psutil.Process:
    """A command that sleeps, once it does."""
    deadline = time.monotonic() + 20
    while not (folder / "pid").is_file() or not (folder / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return psutil.Process(int((folder / "pid").read_text()))


def test_what_it_says_and_how_it_ends(commands: Commands, tmp_path: Path) -> None:
    assert ended(commands, "say:a", "exit:3") == (3, f"dainr: {'a' * 70000}\n")
    assert ended(commands, "show:CUDA_VISIBLE_DEVICES") == (0, f"GPU-8f {tmp_path}\n")


def test_one_that_dies_costs_no_other(commands: Commands) -> None:
    assert ended(commands, f"die:{signal.SIGSEGV:d}")[0] == -signal.SIGSEGV
    assert ended(commands, "sleep:60", limit_s=0.3)[0] == -signal.SIGKILL
    assert ended(commands, "exit:0") == (0, "")
    assert len(commands._forkers) == 1


def test_where_the_process_that_forks_is_killed_another_takes_its_place(commands: Commands) -> None:
    assert ended(commands, "exit:0")[0] == 0
    commands._forkers[0]._process.kill()
    commands._forkers[0]._process.wait()
    process = commands.start(["exit:5"], dict(os.environ))  # by the program itself, which knows no such command
    with process:
        process.communicate()
    commands.ended(process)
    assert process.returncode == 2
    assert ended(commands, "exit:0")[0] == 0


def test_all_end_with_the_batch(commands: Commands, tmp_path: Path) -> None:
    forker = Forker(dict(os.environ))
    command = forker.start(["sleep:60"], {})
    assert command is not None
    sleeping = sleeper(tmp_path)
    assert sleeping.name().startswith("dainr sleep")
    with command:
        forker.close()
    sleeping.wait(10)
    assert not sleeping.is_running()


def test_a_terminal_that_is_closed_ends_commands_and_not_what_forks_them(commands: Commands, tmp_path: Path) -> None:
    process = commands.start(["sleep:60"], dict(os.environ))
    sleeping, forker = sleeper(tmp_path), commands._forkers[0]._process
    forker.send_signal(signal.SIGHUP)
    sleeping.send_signal(signal.SIGHUP)
    with process:
        process.communicate(timeout=20)
    commands.ended(process)
    assert process.returncode == -signal.SIGHUP
    assert ended(commands, "exit:0") == (0, "")
    assert forker.poll() is None


@pytest.mark.parametrize("who", ["command", "forker"])
def test_what_was_stopped_goes_on(commands: Commands, tmp_path: Path, who: str) -> None:
    process = commands.start(["sleep:0.3 exit:3"], dict(os.environ))
    stopped = sleeper(tmp_path) if who == "command" else psutil.Process(commands._forkers[0]._process.pid)
    stopped.suspend()
    with process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        stopped.resume()
        process.communicate(timeout=20)
    commands.ended(process)
    assert process.returncode == 3


@pytest.mark.parametrize("who", ["command", "forker"])
def test_what_was_stopped_ends_with_its_limit_and_with_the_batch(commands: Commands, tmp_path: Path, who: str) -> None:
    process = commands.start(["sleep:60"], dict(os.environ))
    stopped = sleeper(tmp_path) if who == "command" else psutil.Process(commands._forkers[0]._process.pid)
    stopped.suspend()
    if who == "command":
        commands.stop()
    else:
        process.kill()
    with process:
        process.communicate(timeout=20)
    commands.ended(process)
    assert process.returncode == (-signal.SIGTERM if who == "command" else -signal.SIGKILL)
    psutil.Process(commands._forkers[0]._process.pid).suspend()  # and the batch ends


@pytest.mark.slow
def test_what_every_command_needs_starts_no_thread() -> None:
    """A fork would lose it, and with it what it holds."""
    imported = f"import importlib; [importlib.import_module(name) for name in {forking.NEEDED}]"
    count = f"{imported}; from pathlib import Path; print(len(list(Path('/proc/self/task').iterdir())))"
    environment = dict(os.environ) | {"OMP_NUM_THREADS": "2"}
    told = subprocess.run([sys.executable, "-c", count], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "1"
