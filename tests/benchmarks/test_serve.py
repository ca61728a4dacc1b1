"""What measures and attacks the server: a table of waiting, and streams that are as bad as they are meant to be."""

import struct

import ismrmrd
import numpy as np
import pytest

from benchmarks import serve, serve_fuzz
from benchmarks.serve_fuzz import CLOSE, KINDS
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.conftest import TINY


def parts() -> list[bytes]:
    """A scan of three readouts as messages."""
    readout = ismrmrd.Acquisition.from_array(np.ones((2, 8), np.complex64), np.zeros((8, 2), np.float32))
    document = b"<ismrmrdHeader><matrixSize><x>320</x><y>320</y></matrixSize></ismrmrdHeader>"
    return [
        struct.pack("<H1024s", 1, b"gridding"),
        struct.pack("<HI", 3, len(document)) + document,
        struct.pack("<HI", 5, 2) + b"{}",
        struct.pack("<H", 1026) + ismrmrd.Waveform.from_array(np.ones((2, 8), np.uint32)).to_bytes(),
        *[struct.pack("<H", 1008) + readout.to_bytes()] * 3,
        CLOSE,
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_streams_are_damaged_in_many_ways_and_the_same_again(kind: str) -> None:
    made = [KINDS[kind](parts(), np.random.default_rng([1, number])) for number in range(30)]
    assert len(set(made)) > 8
    assert b"".join(parts()) not in made
    assert made == [KINDS[kind](parts(), np.random.default_rng([1, number])) for number in range(30)]


def test_a_server_outlives_them(capsys: pytest.CaptureFixture[str]) -> None:
    serve_fuzz.main(["--streams", "10"])
    said = capsys.readouterr().out
    assert "The server lived." in said
    assert said.count("| 0 |\n") == 10  # none hung


@pytest.mark.slow
def test_waiting_is_told_of_scans_sent_fast_and_at_a_scanner_s_pace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "warm_up", lambda *_: None)
    monkeypatch.setattr(serve, "PAUSE_S", 0.5)
    tiny = [part for pair in TINY for part in ("--set", pair)]
    serve.main(["--repeats", "1", "--iterations", "5", "--matrix", "32", "--hold", "1", "--slices", "2", *tiny])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        *serve.ROWS,
        "2 slices, at a scanner's pace",
        "2 slices, `dainr fit`",
    ]
    assert [row.split("|")[2].strip() for row in rows[2:]] == ["0.0", "0.0", "1.0", "", "2.0", ""]


def test_a_stack_holds_its_slice_as_often_as_it_is_asked() -> None:
    scan = simulate_phantom(SimulationConfig(matrix=16, frames=2, coils=2, spokes=3))
    stack = serve.stack_of(scan, 3)
    assert stack.n_slices == 3
    np.testing.assert_array_equal(stack.kspace[2], scan.kspace[0])
