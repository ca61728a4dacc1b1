"""The client: what it sends, what it writes, and what it says where a server is none."""

import socket
import threading
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.io.images.mrd import GROUP
from dainr.io.scans import native
from dainr.scan import Scan
from dainr.serve.client import Wish, parse_address, send_scan
from tests.cli import assert_one_error, invoke, succeed
from tests.serve import close, text


def test_the_images_come_into_a_file(port: int, radial_scan: Scan, radial_stream: Path, tmp_path: Path) -> None:
    result = succeed("send", radial_stream, "--to", f"localhost:{port}", "-o", tmp_path / "images.mrd")
    assert result.stderr.splitlines()[-1] == f"{tmp_path / 'images.mrd'}: 6 images"
    with ismrmrd.Dataset(tmp_path / "images.mrd", GROUP, mode="r") as dataset:
        images = [dataset.read_image("image_1", number) for number in range(6)]
    assert np.isfinite([one.data for one in images]).all()
    assert_one_error(invoke("send", radial_stream, "--to", f"localhost:{port}", "-o", tmp_path / "images.mrd"), 2)


def test_a_scan_of_another_format_is_sent_as_ismrmrd(port: int, radial_scan: Scan, tmp_path: Path) -> None:
    native.write(radial_scan, tmp_path / "scan.h5")
    said: list[str] = []
    wish = Wish("gridding", {"spokes_per_frame": 18})
    assert send_scan(tmp_path / "scan.h5", f"127.0.0.1:{port}", tmp_path / "images.h5", wish, say=said.append) == 3
    assert said[-1].startswith("dainr: This method is not validated")


def test_a_refusal_is_told_and_leaves_no_file(port: int, radial_stream: Path, tmp_path: Path) -> None:
    asked = ("send", radial_stream, "--to", f"127.0.0.1:{port}", "-o", tmp_path / "images.mrd", "--config", "what")
    result = invoke(*asked)
    assert result.exit_code == 1
    assert "there is none of that name; choose dainr" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_where_nobody_listens_one_sentence_says_so(radial_stream: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = ("send", radial_stream, "--to", f"127.0.0.1:{port}", "-o", tmp_path / "images.mrd")
    assert_one_error(invoke(*asked), 2)
    assert_one_error(invoke(*asked[:4], "-o", tmp_path / "images.png"), 2)
    assert_one_error(invoke(*asked, "--set", "images"), 2)


@pytest.mark.parametrize(("answer", "words"), [(b"", "hung up before"), (text(5, "busy") + close(), "words: busy")])
def test_a_server_that_sends_nothing_is_told(answer: bytes, words: str, radial_stream: Path, tmp_path: Path) -> None:
    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1026)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        to = f"127.0.0.1:{listening.getsockname()[1]}"
        result = invoke("send", radial_stream, "--to", to, "-o", tmp_path / "images.mrd")
        thread.join()
    assert result.exit_code == 1
    assert words in result.stderr


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("host:80", ("host", 80)),
        ("host", ("host", 9002)),
        (":80", ("127.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 9002)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["host:x", "host:0", "host:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="it is no address"):
        parse_address(text)
