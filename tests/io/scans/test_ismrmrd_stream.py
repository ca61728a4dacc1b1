"""ISMRMRD streams in files: read as the files that hold the same, and made such files."""

from dataclasses import replace
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from dainr.errors import BadScan
from dainr.io.scans import formats, ismrmrd_stream
from dainr.io.scans.ismrmrd_messages import Document, Messages, StreamEnded, Writer
from dainr.io.scans.ismrmrd_stream import to_hdf5
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.scan import Scan
from tests.serve import CONFIG_TEXT, HEADER, TEXT, close, config_file, header, readouts, text, waveform


@pytest.fixture
def scan_file(radial_scan: Scan, tmp_path: Path) -> Path:
    path = tmp_path / "scan.h5"
    write_ismrmrd(replace(radial_scan, reference=None, phase=None), path)
    return path


def written(path: Path, *parts: bytes) -> Path:
    stream = path.with_suffix(".stream")
    stream.write_bytes(b"".join([*parts, *readouts(path), close()]))
    return stream


@pytest.mark.parametrize("config", [b"", config_file("dainr"), text(CONFIG_TEXT, "{}"), text(CONFIG_TEXT, "")])
def test_a_stream_is_the_scan_of_the_file(config: bytes, scan_file: Path) -> None:
    stream = written(scan_file, config, text(HEADER, header(scan_file)), text(TEXT, "hello"), waveform())
    got, wanted = formats.read(stream), formats.read(scan_file)
    np.testing.assert_array_equal(got.kspace, wanted.kspace)
    np.testing.assert_array_equal(got.noise, wanted.noise)
    assert got.notes == wanted.notes


def test_other_files_are_none(tmp_path: Path) -> None:
    for number, content in enumerate([b"", b"\1\0", b"\3\0" + bytes(100), b"\3\0\0\0\0\0<html>"]):
        path = tmp_path / f"{number}"
        path.write_bytes(content)
        assert not ismrmrd_stream.recognises(path)


def test_one_that_is_cut_off_is_no_scan_but_a_file_as_far_as_it_goes(scan_file: Path) -> None:
    stream = written(scan_file, text(HEADER, header(scan_file)), waveform())
    stream.write_bytes(stream.read_bytes()[:-700])
    with pytest.raises(BadScan, match="it ended in the middle of a message"):
        formats.read(stream)
    n_readouts = len(list(readouts(scan_file)))
    assert to_hdf5(stream, scan_file.with_name("back.h5")) == n_readouts - 1
    with ismrmrd.Dataset(scan_file.with_name("back.h5"), "dataset", mode="r") as back:
        assert back.number_of_acquisitions() == n_readouts - 1
        assert back.number_of_waveforms() == 1
        assert back.read_xml_header() == header(scan_file)


def test_a_stream_without_header_is_no_scan(scan_file: Path) -> None:
    stream = written(scan_file)
    with pytest.raises(BadScan, match="it holds no header"):
        ismrmrd_stream.read(stream)
    assert to_hdf5(stream, scan_file.with_name("back.h5")) > 0


def test_messages_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    items = [Document(b"<xml/>"), "a text", ismrmrd.Acquisition.from_array(np.ones((2, 3), np.complex64))]
    with path.open("wb") as file:
        writer = Writer(file)
        for item in items:
            writer.send(item)
        writer.close()
    copied = list[bytes]()
    with path.open("rb") as file:
        messages = Messages(file, "it", copy=copied.append)
        assert list(messages) == items
    assert b"".join(copied) == path.read_bytes()
    assert messages.size == len(path.read_bytes())


def test_long_messages_come_in_pieces(tmp_path: Path) -> None:
    long = ismrmrd.Acquisition.from_array(np.ones((64, 2**15), np.complex64))  # 16 MB
    with (tmp_path / "stream").open("wb") as file:
        writer = Writer(file)
        writer.send(long)
        writer.close()
    with (tmp_path / "stream").open("rb") as file:
        assert list(Messages(file, "it")) == [long]
    with (tmp_path / "stream").open("r+b") as file:
        file.truncate(2**22)
    with (tmp_path / "stream").open("rb") as file, pytest.raises(StreamEnded, match="in the middle"):
        list(Messages(file, "it"))


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", StreamEnded, "without a close message"),
        (b"\5", StreamEnded, "in the middle"),
        (text(TEXT, "x"), StreamEnded, "without a close message"),
        (b"\xf0\3" + bytes(100), StreamEnded, "in the middle"),
        (b"\xf0\3" + b"\xff" * 340, BadScan, "more than any readout"),
        (b"\5\0\xff\xff\xff\x7f", BadScan, "more than any header"),
        (b"\7\0", BadScan, "message 7"),
        (b"\xfe\3" + bytes(300), BadScan, "message 1022"),
    ],
)
def test_what_is_no_stream_is_told_in_words(content: bytes, error: type[Exception], words: str, tmp_path: Path) -> None:
    (tmp_path / "stream").write_bytes(content)
    with (tmp_path / "stream").open("rb") as file, pytest.raises(error, match=words):
        list(Messages(file, "it"))
