"""`dainr batch`: every case ends well or is explained, whatever is killed."""

import csv
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from dainr.io.scans import native
from dainr.scan import Scan
from dainr.studies.batch import engine, sharing, work
from dainr.studies.batch.work import Job, Outcome

from . import TINY_OPTIONS, Result, assert_one_error, invoke, start

LATEST_S = 200
SLOWER = ("--set", "iterations=60", "--set", "checkpoint_every_s=0")

Batch = Callable[..., Result]


def batch(scans: Path, out: Path, *options: object) -> Result:
    """In processes, as users have them."""
    process = start("batch", scans, "-o", out, *TINY_OPTIONS, *options)
    stdout, stderr = process.communicate(timeout=LATEST_S)
    return Result(process.returncode, stdout, stderr)


def cine(run: Path) -> np.ndarray:
    with h5py.File(run / "cine.h5") as file:
        return file["cine"][()]


def fits_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The fits that a batch has running, as processes."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.name() == "dainr fit" or "fit" in child.cmdline()[3:4]:
                found.append(child)
        except psutil.Error:
            continue
    return found


def wait_for_fit(process: "subprocess.Popen[str]", run: Path) -> psutil.Process:
    """The first fit that has begun to log."""
    deadline = time.monotonic() + LATEST_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        running = fits_of(process)
        if running and (run / "log.jsonl").is_file():
            return running[0]
        time.sleep(0.01)
    raise AssertionError("no fit began")


@pytest.fixture
def scans(radial_scan: Scan, tmp_path: Path) -> Path:
    """Two scans."""
    folder = tmp_path / "scans"
    folder.mkdir()
    native.write(radial_scan, folder / "a.h5")
    shutil.copy(folder / "a.h5", folder / "b.h5")
    return folder


@pytest.fixture(params=["here", pytest.param("in processes", marks=pytest.mark.slow)])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """A batch in processes, or the same work in this one, case by case, where nothing is imported anew."""
    if request.param == "in processes":
        return batch

    def run(arguments: Sequence[str], *_: object) -> tuple[int, str]:
        ended = invoke(*arguments)
        return ended.exit_code, work._sentence(ended.exit_code, ended.stderr)

    def run_jobs(jobs: Sequence[Job], *_: object) -> list[Outcome]:
        return [work.fit_case(job, 1) for job in jobs]

    monkeypatch.setattr(work, "_dainr", run)
    monkeypatch.setattr("dainr.studies.batch.folder.run_jobs", run_jobs)  # where it is used, or it would stay
    return lambda scans, out, *options: invoke("batch", scans, "-o", out, *TINY_OPTIONS, *options)


def test_good_cases_are_done_and_broken_ones_explained_and_then_there_is_nothing_left(
    either: Batch, scans: Path, tmp_path: Path
) -> None:
    (scans / "empty.h5").touch()
    out = tmp_path / "out"
    result = either(scans, out, "--jobs", 2, "--export", ".nii", "--export", ".npy")
    assert result.exit_code == 1, result.stderr
    assert result.stdout == ""
    assert "2 done, 1 failed" in result.stderr
    assert "its content is of no format dainr reads" in result.stderr
    for name in ("a", "b"):
        assert np.array_equal(np.load(out / f"{name}.npy"), cine(out / name))
        assert (out / f"{name}.nii").is_file() and (out / name / "report.html").is_file()
        assert tomllib.loads((out / name / "config.toml").read_text())["config"]["fit"]["iterations"] == 30  # as asked
    rows = list(csv.DictReader((out / "summary.csv").read_text().splitlines()))
    assert [(row["case"], row["status"]) for row in rows] == [("a", "done"), ("b", "done"), ("empty", "failed")]
    assert float(rows[0]["image_error"]) > 0
    assert float(rows[0]["heldout_error"]) > 0 and rows[0]["report"] == "a/report.html"
    assert [row["why"] for row in json.loads((out / "summary.json").read_text())] == [row["why"] for row in rows]
    page = (out / "index.html").read_text()
    assert page.count("data:image/webp;base64,") == 2 and 'href="a/report.html"' in page

    before = {path: path.stat().st_mtime_ns for name in ("a", "b") for path in (out / name).iterdir()}
    again = either(scans, out, "--jobs", 2, "--export", ".nii", "--export", ".npy", "--json", "--resume")
    assert again.exit_code == 1
    assert [row["status"] for row in json.loads(again.stdout)] == ["done", "done", "failed"]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_a_batch_killed_and_run_again_ends_as_if_undisturbed(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    shutil.copy(scans / "a.h5", tmp_path / "one")  # b is the same scan
    assert batch(tmp_path / "one", tmp_path / "whole", *SLOWER, "--export", ".npy").exit_code == 0
    process = start("batch", scans, "-o", tmp_path / "killed", *TINY_OPTIONS, *SLOWER, "--export", ".npy")
    wait_for_fit(process, tmp_path / "killed" / "a")
    everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in everyone:
        one.send_signal(signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(everyone, timeout=20)
    ended = batch(scans, tmp_path / "killed", *SLOWER, "--export", ".npy")
    assert ended.exit_code == 0, ended.stderr
    for name in ("a", "b"):
        assert np.array_equal(cine(tmp_path / "killed" / name), cine(tmp_path / "whole" / "a"))


@pytest.mark.slow
def test_fits_end_with_a_batch_that_is_killed(scans: Path, tmp_path: Path) -> None:
    process = start("batch", scans, "-o", tmp_path / "out", "--jobs", 2, *TINY_OPTIONS, *SLOWER)
    fit = wait_for_fit(process, tmp_path / "out" / "a")
    process.kill()
    process.communicate()
    fit.wait(timeout=60)


@pytest.mark.slow
def test_a_fit_that_is_killed_is_tried_once_more(scans: Path, tmp_path: Path) -> None:
    (scans / "b.h5").unlink()
    out = tmp_path / "out"
    process = start("batch", scans, "-o", out, *TINY_OPTIONS, *SLOWER, "--export", ".npy")
    wait_for_fit(process, out / "a").send_signal(signal.SIGKILL)
    _, stderr = process.communicate(timeout=LATEST_S)
    assert process.returncode == 0, stderr
    assert [row["attempts"] for row in json.loads((out / "summary.json").read_text())] == [2]


@pytest.mark.slow
def test_a_cluster_that_is_there_does_the_work_and_its_loss_is_said(scans: Path, tmp_path: Path) -> None:
    (scans / "b.h5").unlink()
    dask = [sys.executable, "-m", "dask"]
    address = tmp_path / "scheduler.json"
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--scheduler-file", address, "--port", "0", "--no-dashboard"], stderr=subprocess.DEVNULL
    )
    worker = subprocess.Popen(
        [*dask, "worker", "--scheduler-file", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "20"],
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        deadline = time.monotonic() + 60
        while not (address.is_file() and address.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        where = json.loads(address.read_text())["address"]
        relative = Path(os.path.relpath(scans))
        done = batch(relative, Path(os.path.relpath(tmp_path / "out")), "--scheduler", where, "--export", ".npy")
        assert done.exit_code == 0, done.stderr
        process = start("batch", scans, "-o", tmp_path / "lost", "--scheduler", where, *TINY_OPTIONS)
        deadline = time.monotonic() + LATEST_S
        while not (tmp_path / "lost" / ".cases").is_dir():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        scheduler.kill()
        _, stderr = process.communicate(timeout=LATEST_S)
        assert process.returncode == 1
        assert "the scheduler: it is gone" in stderr and "Traceback" not in stderr
    finally:
        for one in (worker, scheduler):
            one.kill()
            one.wait()
    assert batch(scans, tmp_path / "lost", "--export", ".npy").exit_code == 0


def test_cases_share_a_gpu_and_it_is_said(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the GPU, and for the workers."""
    hired: list[engine.Workers] = []

    def run(jobs: Sequence[Job], workers: engine.Workers, _: object) -> list[Outcome]:
        hired.append(workers)
        return [Outcome(job.case.name, str(job.case.path), {}, "failed", "nobody fits", 1) for job in jobs]

    monkeypatch.setattr(sharing, "visible_gpus", lambda: (sharing.Gpu(0, "GPU-8f", 2**31),))
    monkeypatch.setattr(sharing, "with_free_memory", lambda gpus: gpus)
    monkeypatch.setattr(sharing, "usable_cores", lambda: 16)
    monkeypatch.setattr(sharing, "memory_bytes", lambda _: 2**37)
    monkeypatch.setattr("dainr.studies.batch.folder.run_jobs", run)
    said = invoke("batch", scans, "-o", tmp_path / "out").stderr
    assert re.search(r"^2 cases at once on the GPU: each needs about 0\.\d GB, and 2\.0 GB are free$", said, re.M)
    assert hired == [engine.Workers(2, ("GPU-8f", "GPU-8f"))]
    assert "at once" not in invoke("batch", scans, "-o", tmp_path / "out", "--jobs", 2).stderr
    assert hired[1] == engine.Workers(2, ("GPU-8f",))


def test_two_batches_in_one_folder_do_not_meet(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert_one_error(invoke("batch", scans, "-o", out), 2)
    assert [path.name for path in out.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    "options",
    [
        ("--export", ".doc"),
        ("--resume",),
        ("--jobs", 2, "--scheduler", "tcp://127.0.0.1:1"),
        ("--scheduler", "tcp://127.0.0.1:1"),
        ("--preset", "best"),
        ("--set", "iteration=3"),
        ("--every", 3),
        ("--matrix", "large"),
        ("--budget", "soon"),
        ("--limit", "long"),
    ],
)
def test_wrong_requests_are_refused_before_anything_runs(
    options: tuple[object, ...], scans: Path, tmp_path: Path
) -> None:
    assert_one_error(invoke("batch", scans, "-o", tmp_path / "out", *options), 2)
    assert not [path for path in (tmp_path / "out").glob("*") if path.name not in (".lock", ".batch.json")]


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    assert_one_error(invoke("batch", tmp_path, "-o", tmp_path / "out"), 2)
