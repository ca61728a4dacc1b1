"""The process that fits one stream after another."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dainr.runs.folder import RunFolder
from dainr.runs.run import read_run_cine
from dainr.serve.fits import FitFailed, Job, Loan, Place
from tests.serve import stream
from tests.serve.conftest import GRIDDING, TINY_FIT


@contextmanager
def place() -> Iterator[Place]:
    found = Place(dict(os.environ), GRIDDING)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def job(radial_stream: Path, tmp_path: Path) -> Any:
    (tmp_path / "stream.mrd").write_bytes(stream(radial_stream))
    return lambda name, options=GRIDDING: Job(str(tmp_path / "stream.mrd"), "1", str(tmp_path / name), options)


def test_one_process_fits_several_scans_and_another_comes_after_one_that_failed(job: Any, tmp_path: Path) -> None:
    with place() as here:
        here.fit(job("one"), 60, lambda end: nullcontext())
        first = here._worker
        here.fit(job("two"), 60, lambda end: nullcontext())
        assert here._worker is first
        with pytest.raises(FitFailed, match=r"dainr: .*broken\.mrd: No such file"):
            broken = Job(str(tmp_path / "broken.mrd"), "1", str(tmp_path / "three"), GRIDDING)
            here.fit(broken, 60, lambda end: nullcontext())
        here.fit(job("four"), 60, lambda end: nullcontext())
        assert here._worker is not first
    assert all(RunFolder(tmp_path / name).is_complete for name in ("one", "two", "four"))


def test_two_scans_of_one_protocol_share_what_their_trajectory_tells(job: Any, tmp_path: Path) -> None:
    raced = {"method": "gridding", "device": "cpu"}
    with place() as here:
        for name in ("one", "two"):
            here.fit(job(name, raced), 60, lambda end: nullcontext())
    one, two = (RunFolder(tmp_path / name).read_record()["choices"] for name in ("one", "two"))
    assert one["nufft_seconds_per_frame"] == two["nufft_seconds_per_frame"]


def test_a_process_that_reads_along_is_as_warm_as_before_when_the_scan_breaks_off(job: Any, tmp_path: Path) -> None:
    whole = (tmp_path / "stream.mrd").read_bytes()
    broken = tmp_path / "broken.mrd"
    with place() as here:
        here.fit(job("one"), 60, lambda end: nullcontext())
        first = here._worker
        for content in (whole[:-20000], whole[:-2] + b"\x63\x00" * 100):
            broken.write_bytes(content)
            loan = Loan(here, lambda place: None)
            loan.begin(replace(job("two"), stream=str(broken), slices=str(tmp_path / "slices")))
            time.sleep(0.3)
            assert loan.end()
            assert not loan.end()
        here.fit(job("three"), 60, lambda end: nullcontext())
        assert here._worker is first
    assert RunFolder(tmp_path / "three").is_complete
    assert not (tmp_path / "two").exists()


def test_a_scan_has_the_same_images_whatever_came_before_it(job: Any, tmp_path: Path) -> None:
    with place() as here:
        for name, options in (("one", TINY_FIT), ("other", GRIDDING), ("two", TINY_FIT)):
            here.fit(job(name, options), 60, lambda end: nullcontext())
    one, two = (read_run_cine(RunFolder(tmp_path / name))[0].data for name in ("one", "two"))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-6 * np.abs(one).max())
