"""What measures and attacks the server: a table of waiting, and streams that are as bad as they are meant to be."""

import struct

import ismrmrd
import numpy as np
import pytest

from benchmarks import serve_fuzz
from benchmarks.serve_fuzz import CLOSE, KINDS


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
