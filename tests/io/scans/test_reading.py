"""Reading in another process: what it answers, what becomes of it, and what its end means."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest, BadScan, DainrError
from dainr.io import Reading, load
from dainr.io.scans import formats, native, reader_process, reading
from dainr.scan import Scan
from tests.io import small_scan


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    native.write(small_scan(), tmp_path / "scan.h5")
    return tmp_path / "scan.h5"


@pytest.fixture(autouse=True)
def no_process_before() -> None:
    while process := reader_process.idle_process():
        process.close()


def pid_of(one: Reading) -> int:
    return one._process._process.pid


def test_a_scan_comes_as_it_is_read_here(scan_file: Path) -> None:
    told, here = load(scan_file), formats.read(scan_file)
    assert isinstance(told, Scan) and told.name == here.name and told.matrix == here.matrix
    np.testing.assert_array_equal(told.kspace, here.kspace)
    told.kspace[0] = 0  # its own memory


def test_errors_come_with_their_parts_and_a_mistake_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadScan, match="there is no such file") as caught:
        load(tmp_path / "none.h5")
    assert (caught.value.what, caught.value.fix) == (str(tmp_path / "none.h5"), "name a scan file")
    (tmp_path / "kspace.cfl").touch()
    with pytest.raises(BadScan, match=r"there is no such file; name kspace\.cfl"):
        load(tmp_path / "kspace")  # as BART names its files
    broken = reader_process.SERVE.replace("serve()", "import dainr.io.scans.formats as f; f.READERS = (1,); serve()")
    monkeypatch.setattr(reader_process, "SERVE", broken)
    (tmp_path / "a.h5").write_bytes(b"x")
    while process := reader_process.idle_process():
        process.close()
    with pytest.raises(RuntimeError, match="no attribute 'recognises'"):
        load(tmp_path / "a.h5")


def test_what_the_system_does_not_let_read_is_one_sentence(scan_file: Path) -> None:
    reader = "os.stat"  # any that raises OSError
    with pytest.raises(BadScan, match=r"gone: it cannot be read \(No such file or directory\)"):
        Reading(scan_file.with_name("gone"), reader).result()


@pytest.mark.parametrize("error", [BadScan("a", "b", "c"), BadRequest("a", "b; c", "d")])
def test_an_error_survives_the_way(error: DainrError) -> None:
    import pickle

    told = pickle.loads(pickle.dumps(error))
    assert type(told) is type(error) and str(told) == str(error)


def test_one_process_reads_file_after_file_relative_to_where_the_program_is(
    scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Reading(scan_file)
    pid = pid_of(first)
    first.scan()
    monkeypatch.chdir(scan_file.parent)
    second = Reading(scan_file.name)
    assert pid_of(second) == pid
    assert second.scan().name == scan_file.name


def test_two_files_at_once_have_a_process_each(scan_file: Path) -> None:
    one, two = Reading(scan_file), Reading(scan_file.parent / "none.h5")
    assert pid_of(one) != pid_of(two)
    with pytest.raises(BadScan):
        two.scan()
    assert one.scan().n_slices == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_reader_that_crashes_or_finds_no_end_is_a_damaged_file(
    how: signal.Signals, scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(scan_file)
    monkeypatch.setattr(reading, "PATIENCE_S", 0.2)
    one = Reading.__new__(Reading)
    one.path, one._process = scan_file, reader_process.idle_process()  # type: ignore[assignment]
    os.kill(pid_of(one), how)
    one._process.ask(scan_file, reader_process.SCAN)
    with pytest.raises(BadScan, match="crashed or found no end"):
        one.scan()
    monkeypatch.setattr(reading, "PATIENCE_S", 60.0)
    assert load(scan_file).n_slices == 2  # by another


def test_a_process_that_is_idle_ends_and_so_does_one_whose_program_has_gone(
    scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_process, "IDLE_S", 0.0)
    one = Reading(scan_file)
    process = one._process._process
    one.scan()
    assert process.wait(60) == -signal.SIGKILL
    told = subprocess.run(
        [sys.executable, "-c", f"from dainr.io import Reading as r; one = r({str(scan_file)!r}); import os;"
         "print(one._process._process.pid, flush=True); os.kill(os.getpid(), 9)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    gone = threading.Event()
    for _ in range(600):
        if not Path(f"/proc/{int(told.stdout)}/cmdline").exists():
            gone.set()
            break
        gone.wait(0.1)
    assert gone.is_set()


def test_what_says_that_it_holds_more_than_memory_is_a_bad_scan(
    scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object) -> Scan:
        raise MemoryError

    monkeypatch.setattr(native, "read", too_large)
    with pytest.raises(BadScan, match="memory"):
        formats.read(scan_file)
