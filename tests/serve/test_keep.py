"""What a server keeps, and what one that is killed has left."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.io.scans import formats
from dainr.machine.lock import LOCK
from dainr.runs.folder import RunFolder
from dainr.serve.asked import Offer, Order
from dainr.serve.server import Server
from dainr.serve.store import NOTES, SCAN, STREAM, Recorder, SessionFolder, unfinished
from tests.cli import TINY_OPTIONS
from tests.serve import answer, ask, connect, stream
from tests.serve.conftest import GRIDDING, is_there, running


def only(folder: Path) -> Path:
    """The first session in a folder; whether anybody is there is asked in another."""
    wait_until(lambda: any(folder.glob("*_*")))
    return min(folder.glob("*_*"))


def wait_until(true: Callable[[], bool], seconds: float = 90) -> None:
    ends_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends_at, "it takes too long"
        time.sleep(0.1)


def status(session: Path) -> str:
    return str(json.loads((session / NOTES).read_text())["status"])


def test_a_scan_is_kept_as_ismrmrd_with_its_run(radial_stream: Path, tmp_path: Path) -> None:
    with running(GRIDDING, keep=tmp_path / "kept") as port:
        assert len(ask(port, stream(radial_stream)).images) == 6
        session = only(tmp_path / "kept")
        wait_until(lambda: status(session) == "done")  # the report is made after the images are sent
    assert not (session / STREAM).exists()
    kept, sent = formats.read(session / SCAN), formats.read(radial_stream)
    np.testing.assert_array_equal(kept.kspace, sent.kspace)
    assert RunFolder(session / "run").is_complete


def test_half_a_scan_is_kept_as_far_as_it_came(radial_stream: Path, tmp_path: Path) -> None:
    content = stream(radial_stream)
    with running(GRIDDING, keep=tmp_path) as port, connect(port) as connection:
        connection.sendall(content[: len(content) // 2])
        connection.close()
        wait_until(lambda: (only(tmp_path) / SCAN).is_file() and status(only(tmp_path)) == "broken")


def test_nothing_is_left_where_nothing_is_kept(
    radial_stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with running(GRIDDING) as port:
        assert len(ask(port, stream(radial_stream)).images) == 6
        (root,) = tmp_path.glob("dainr-serve-*")
        wait_until(lambda: [path.name for path in root.iterdir()] == [LOCK])
    assert not root.exists()


def test_a_scan_that_waits_when_a_server_ends_is_fitted_by_the_next(radial_stream: Path, tmp_path: Path) -> None:
    session = SessionFolder.new(tmp_path)
    recorder = Recorder(session.stream)
    recorder(stream(radial_stream))
    session.note(status="received", order=Order(options=GRIDDING), sha256=recorder.close())
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / NOTES).write_text("{}")
    with running(GRIDDING, keep=tmp_path):
        wait_until(lambda: status(session.path) == "done")
    assert RunFolder(session.path / "run").is_complete
    assert (session.path / SCAN).is_file()
    assert list(unfinished(tmp_path)) == []


@contextmanager
def started(folder: Path | None, *options: str) -> "Iterator[tuple[subprocess.Popen[str], int]]":
    """The command as a process, and its port; ended in the end, if it is there still."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "dainr.cli", "serve", "--port", str(port), *options]
    command += [] if folder is None else ["--keep", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            assert "listening" in process.stderr.readline()
            yield process, port
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_is_ended_in_a_fit_goes_on_with_it_at_the_next_start(
    number: signal.Signals, radial_stream: Path, tmp_path: Path
) -> None:
    long = ("--set", "iterations=500", "--set", "checkpoint_every_s=0.2")
    with started(tmp_path, *TINY_OPTIONS, *long) as (process, port), connect(port) as connection:
        connection.sendall(stream(radial_stream))
        wait_until(lambda: (only(tmp_path) / "run" / "state.safetensors").is_file())
        os.kill(process.pid, number)
        came = answer(connection)
        assert process.wait(30) == (0 if number == signal.SIGTERM else -number)
    assert came.images == []
    assert came.texts == (["dainr: the server was stopped"] if number == signal.SIGTERM else [])
    assert status(only(tmp_path)) == "received"
    with started(tmp_path, *TINY_OPTIONS) as (process, port):
        assert is_there(port)
        wait_until(lambda: status(only(tmp_path)) == "done")
        process.terminate()
        assert process.wait(30) == 0
    assert RunFolder(only(tmp_path) / "run").is_complete
    assert RunFolder(only(tmp_path) / "run").read_record()["slices"][0]["fit"]["steps"] == 500


@pytest.mark.slow
def test_without_a_folder_a_fit_that_has_begun_is_finished_when_the_server_is_ended(radial_stream: Path) -> None:
    long = ("--set", "iterations=200")
    with started(None, *TINY_OPTIONS, *long) as (process, port), connect(port) as connection:
        connection.sendall(stream(radial_stream))
        time.sleep(2)
        process.terminate()
        assert len(answer(connection).images) == 6
        assert process.wait(30) == 0


def test_two_servers_do_not_keep_in_one_folder(tmp_path: Path) -> None:
    with running(GRIDDING, keep=tmp_path), pytest.raises(BadRequest, match="another dainr serve is at work in it"):
        Server(Offer(), keep=tmp_path)


def test_what_a_killed_server_has_left_in_the_temporary_folder_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "dainr-serve-left" / "scan").mkdir(parents=True)
    os.utime(tmp_path / "dainr-serve-left", (0, 0))
    with running(GRIDDING) as port:
        (mine,) = tmp_path.glob("dainr-serve-*")
        os.utime(mine, (0, 0))
        with running(GRIDDING):
            assert mine.is_dir()
            assert is_there(port)
    assert list(tmp_path.glob("dainr-serve-*")) == []
