"""Commands of a benchmark in this process: a process of their own takes seconds to import what is here already."""

import resource
import time

import pytest

from benchmarks import common, quality, scaling, window
from benchmarks.common import Finished
from tests.cli import invoke


def run_here(*arguments: object) -> Finished:
    """What `run_dainr` does, but for the process: its memory is that of the tests."""
    started, used = time.perf_counter(), time.process_time()
    ended = invoke(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    seconds, cores = time.perf_counter() - started, time.process_time() - used
    return Finished(ended.exit_code, seconds, cores, peak, ended.stdout, ended.stderr)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/benchmarks/test_quality.py` runs them as they are."""
    for module in (common, quality, scaling, window):
        monkeypatch.setattr(module, "run_dainr", run_here)
