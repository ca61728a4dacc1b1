"""A server and clients that know nothing of it but the protocol."""

import json
import socket
import struct
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest

from dainr.io.images.mrd import GROUP, IMAGES
from dainr.scan import Scan
from tests.cli import GRIDDING as GRIDDING_OPTIONS
from tests.cli import TINY_OPTIONS, succeed
from tests.serve import (
    CONFIG_TEXT,
    HEADER,
    TEXT,
    answer,
    ask,
    close,
    config_file,
    connect,
    header,
    readouts,
    stream,
    text,
    waveform,
)
from tests.serve.conftest import GRIDDING, LIMITS, TINY_FIT, is_there, running


def exported(path: Path, folder: Path, *options: str) -> list[ismrmrd.Image]:
    """The images of `dainr fit` and `dainr export` of a file."""
    succeed("fit", path, "-o", folder / "run", "-q", *options)
    succeed("export", folder / "run", folder / "images.mrd")
    with ismrmrd.Dataset(folder / "images.mrd", GROUP, mode="r") as dataset:
        return [dataset.read_image(IMAGES, number) for number in range(dataset.number_of_images(IMAGES))]


def name_of(connection: socket.socket) -> str:
    host, port = connection.getsockname()
    return f"{host}:{port}"


def line_of(client: str, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The line of a client's session in the log, once it is there."""
    for _ in range(300):
        for record in caplog.records:
            line: dict[str, Any] = json.loads(record.message)
            if line["client"] == client:
                return line
        time.sleep(0.1)
    raise AssertionError("there is no such line")


def test_the_images_of_a_fit_come_back_as_fit_and_export_make_them(radial_stream: Path, tmp_path: Path) -> None:
    with running(TINY_FIT) as port:
        came = ask(port, stream(radial_stream, "dainr"))
    wanted = exported(radial_stream, tmp_path, *TINY_OPTIONS)
    assert came.closed
    assert len(came.texts) == 1
    assert came.texts[0].startswith("dainr: ")
    np.testing.assert_allclose(came.series(1), [np.abs(one.data[0, 0]) for one in wanted], rtol=1e-3, atol=1e-4)
    for image, one in zip(came.images, wanted, strict=True):
        for name in ("position", "read_dir", "phase_dir", "slice_dir", "field_of_view"):
            np.testing.assert_allclose(getattr(image.head, name)[:], getattr(one, name)[:])
    assert [image.head.phase for image in came.images] == list(range(6))
    assert [image.head.image_index for image in came.images] == list(range(1, 7))


def test_ten_slices_in_16_bits_have_the_places_of_the_slices(port: int, stack_stream: Path, tmp_path: Path) -> None:
    came = ask(port, stream(stack_stream, "default", text(TEXT, '{"parameters": {"images": "int16"}}')))
    wanted = exported(stack_stream, tmp_path, *GRIDDING_OPTIONS)
    assert [image.head.slice for image in came.images] == [slice for slice in range(10) for _ in range(6)]
    assert came.series(1).dtype == np.int16
    assert came.series(1).max() == 2**15 - 1
    scale = float(came.images[0].meta["dainr_scale"])
    np.testing.assert_allclose(came.series(1) / scale, [np.abs(i.data[0, 0]) for i in wanted], atol=0.51 / scale)
    for image, one in zip(came.images, wanted, strict=True):
        np.testing.assert_allclose(image.head.position[:], one.position[:], atol=1e-3)


def test_parameters_waveforms_and_texts_in_any_client_s_order(port: int, radial_stream: Path) -> None:
    every = list(readouts(radial_stream))
    content = b"".join(
        [
            text(CONFIG_TEXT, '{"version": "1.1.0", "parameters": {"config": "gridding", "images": "complex"}}'),
            text(HEADER, header(radial_stream), end=b""),
            text(TEXT, json.dumps({"parameters": {"spokesperframe": 18, "customconfig": ""}})),
            waveform(),
            *every[:10],
            waveform(0),
            text(TEXT, "hello"),
            *every[10:],
            close(),
        ]
    )
    came = ask(port, content)
    assert came.series(1).shape == (3, 32, 32)
    assert came.series(1).dtype == np.complex64


def test_a_stream_without_a_configuration_is_done_as_the_server_was_started(port: int, radial_stream: Path) -> None:
    came = ask(port, b"".join([text(HEADER, header(radial_stream)), *readouts(radial_stream), close()]))
    assert came.images[0].meta["ImageProcessingHistory"] == ["DAINR", "gridding"]


@pytest.mark.parametrize("config", ["invertcontrast", "simplefft", "default.xml", "<xml/>", "/etc/passwd"])
def test_an_unknown_configuration_is_told_what_there_is(port: int, config: str, radial_stream: Path) -> None:
    came = ask(port, stream(radial_stream, config))
    if config == "default.xml":  # what Gadgetron's client asks for where nothing is said
        assert came.images
        return
    assert (came.images, came.closed, len(came.texts)) == ([], True, 1)
    assert "there is none of that name; choose dainr, grasp" in came.texts[0]


def test_one_that_only_asks_what_there_is_is_told(port: int) -> None:
    came = ask(port, config_file("what?") + close())
    assert came.closed
    assert "choose dainr" in came.texts[0]


def test_one_that_says_nothing_is_answered_by_a_close(port: int) -> None:
    assert ask(port, close()) == ([], [], True)
    assert ask(port, config_file("dainr") + close()) == ([], [], True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (text(HEADER, "Dummy XML header") + close(), "no readouts"),
        (struct.pack("<H", 1008) + bytes(340) + close(), "without a header"),
        (config_file("dainr") + struct.pack("<H", 6) + bytes(20), "message 6"),
        (struct.pack("<HI", 3, 2**31) + bytes(100), "a text of it takes 2147483648 bytes"),
        (struct.pack("<H", 1022) + bytes(500), "message 1022"),
    ],
)
def test_what_is_no_scan_is_refused_in_one_sentence(port: int, content: bytes, words: str) -> None:
    came = ask(port, content)
    assert (came.images, came.closed) == ([], True)
    assert words in came.texts[0]
    assert is_there(port)


def test_a_scan_that_cannot_be_fitted_is_refused_by_the_fit_s_own_sentence(port: int, radial_stream: Path) -> None:
    content = [config_file("gridding"), text(HEADER, "Dummy XML header"), *readouts(radial_stream), close()]
    came = ask(port, b"".join(content))
    assert "its ISMRMRD header cannot be read" in came.texts[0]
    assert len(came.texts) == 1


def test_two_clients_at_once_get_their_own_images(port: int, radial_stream: Path, stack_stream: Path) -> None:
    came = {}
    asked = {6: stream(radial_stream), 60: stream(stack_stream)}
    threads = [
        threading.Thread(target=lambda n=number, c=content: came.update({n: ask(port, c)}))
        for number, content in asked.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: len(one.images) for number, one in came.items()} == {6: 6, 60: 60}


def test_a_client_killed_half_way_harms_no_other(
    port: int, radial_stream: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dainr.serve")
    content = stream(radial_stream)
    with connect(port) as connection:
        client = name_of(connection)
        connection.sendall(content[: len(content) // 2 + 7])
    assert len(ask(port, content).images) == 6
    line = line_of(client, caplog)
    assert (line["ended"], line["why"]) == ("broken", "it ended in the middle of a message")


def test_a_client_that_leaves_ends_its_fit(radial_stream: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "dainr.serve")
    endless = TINY_FIT | {"iterations": 10**9}
    with running(endless) as port:
        with connect(port) as connection:
            client = name_of(connection)
            connection.sendall(stream(radial_stream))
            time.sleep(2)
        assert len(ask(port, stream(radial_stream, "gridding")).images) == 6  # whose turn it is once that has ended
    assert line_of(client, caplog)["ended"] == "left"


def test_a_client_that_has_only_no_more_to_say_gets_its_images(port: int, radial_stream: Path) -> None:
    with connect(port) as connection:
        connection.sendall(stream(radial_stream))
        connection.shutdown(socket.SHUT_WR)
        assert len(answer(connection).images) == 6


def test_limits_hold(radial_stream: Path) -> None:
    tight = replace(LIMITS, clients=1, session_bytes=1000, greeting_s=0.5)
    with running(GRIDDING, tight) as port:
        assert "it sends more than 1e-06 GB" in ask(port, stream(radial_stream)).texts[0]
        time.sleep(0.5)  # until it has gone
        with connect(port) as silent:
            time.sleep(0.2)
            assert "too many clients" in ask(port, close()).texts[0]
            assert "nothing for too long" in answer(silent).texts[0]


def test_the_error_map_is_a_series_of_its_own_and_a_preview_another(radial_stream: Path) -> None:
    beside = text(TEXT, json.dumps({"parameters": {"errormap": True, "preview": "gridding"}}))
    with running(TINY_FIT) as port:
        came = ask(port, stream(radial_stream, "dainr", beside))
    assert [image.head.image_series_index for image in came.images] == [3] * 6 + [1] * 6 + [2] * 6
    assert [image.meta["SequenceDescriptionAdditional"] for image in came.images[::6]] == [
        "dainr_preview",
        "dainr",
        "dainr_error",
    ]
    assert len(came.texts) == 1


def test_damaged_streams_end_their_session_and_no_other(port: int, radial_stream: Path) -> None:
    random = np.random.default_rng(0)
    sound = bytearray(stream(radial_stream, "gridding"))
    for _ in range(100):
        content = sound[: random.integers(len(sound))] if random.random() < 0.5 else sound[:-2]
        for place in random.integers(0, min(len(content), 3000) or 1, 20):
            content[place : place + 1] = bytes([random.integers(256)])
        with connect(port) as connection:
            connection.settimeout(0.01)
            try:
                connection.sendall(content)
            except OSError:
                continue
    assert len(ask(port, bytes(sound)).images) == 6


def test_a_scan_of_pipes_is_header_images_and_close(radial_stream: Path, tmp_path: Path, radial_scan: Scan) -> None:
    import io

    from dainr.io.scans.ismrmrd_messages import Document, Messages
    from dainr.serve.asked import Offer, Order
    from dainr.serve.peer import PipePeer
    from dainr.serve.server import Server

    server = Server(Offer(Order(options=GRIDDING)), LIMITS)
    sink = io.BytesIO()
    why = server.serve_one(PipePeer(io.BytesIO(stream(radial_stream)[1026:]), sink, LIMITS))
    server.close()
    assert why == ""
    sink.seek(0)
    items = list(Messages(sink, "it", takes=(3, 4, 1022)))
    assert isinstance(items[0], Document)
    assert len(items) == 7
    assert sink.read() == b""
