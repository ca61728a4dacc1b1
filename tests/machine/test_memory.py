"""Freed memory stays in the process, unless the user said otherwise."""

import ctypes
import os
import subprocess
import sys

import pytest

from dainr.machine.memory import PARAMETERS, give_freed_memory_back, keep_freed_memory, share_freed_memory

glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="not glibc",
)
# resident memory (pages) before and after an array of 24 MB comes and goes
PROGRAM = """
import numpy, dainr
resident = lambda: int(open("/proc/self/statm").read().split()[1])
before = resident()
array = numpy.ones(3 * 2**20)
del array
print((resident() - before) * 4096 > 20e6)
"""


@glibc
@pytest.mark.parametrize(("setting", "kept"), [({}, "True"), ({name: "131072" for _, name, _ in PARAMETERS}, "False")])
def test_freed_memory_is_kept_unless_the_user_set_otherwise(setting: dict[str, str], kept: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")} | setting
    run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == kept


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


@glibc
def test_freed_memory_goes_back_when_told() -> None:
    given_back = PROGRAM.replace("print", "dainr.machine.memory.give_freed_memory_back()\nprint").replace(
        "import numpy, dainr", "import numpy, dainr, dainr.machine.memory"
    )
    run = subprocess.run([sys.executable, "-c", given_back], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_where_there_is_no_glibc_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[None] = []
    monkeypatch.setattr(ctypes, "CDLL", asked.append)
    monkeypatch.setattr(sys, "platform", "darwin")
    give_freed_memory_back()
    assert not asked


@glibc
def test_threads_share_what_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    assert share_freed_memory()
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not share_freed_memory()  # what a user sets stays
