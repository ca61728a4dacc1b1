"""Slices that come back while others are still measured."""

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import pytest

from dainr.io.scans import formats
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.methods import get_method
from dainr.runs.folder import RunFolder
from dainr.scan import Scan
from dainr.serve.complete import SlicesSeen
from dainr.serve.following import mark
from dainr.serve.slices import read_slice, write_slice, written
from tests.cli import GRIDDING as GRIDDING_OPTIONS
from tests.cli import TINY_OPTIONS
from tests.helper import repeated
from tests.serve import HEADER, TEXT, Answer, answer, ask, close, config_file, connect, header, readouts, stream, text
from tests.serve.conftest import GRIDDING, TINY_FIT, running
from tests.serve.test_keep import only, status, wait_until
from tests.serve.test_server import exported

OF_HEAD = 340


def slice_of(message: bytes) -> int:
    """The slice that a readout says it is of."""
    return int(ismrmrd.AcquisitionHeader.from_buffer_copy(message[2 : 2 + OF_HEAD]).idx.slice)


def parts(path: Path, *beside: bytes) -> tuple[bytes, list[bytes], list[bytes]]:
    """The messages before the first image readout, and those of every slice; last each readout by itself."""
    every = list(readouts(path))
    noise = [m for m in every if ismrmrd.AcquisitionHeader.from_buffer_copy(m[2 : 2 + OF_HEAD]).flags & (1 << 18)]
    images = every[len(noise) :]
    numbers = sorted({slice_of(m) for m in images})
    begin = config_file("default") + text(HEADER, header(path)) + b"".join([*beside, *noise])
    return begin, [b"".join(m for m in images if slice_of(m) == number) for number in numbers], images


def in_two(port: int, first: bytes, rest: bytes, wanted: int) -> tuple[Answer, Answer]:
    """What comes of the first part, which is so many images, before the rest is sent; and what comes after that."""
    with connect(port) as connection:
        connection.sendall(first)
        early = answer(connection, wanted)
        connection.sendall(rest)
        return early, answer(connection)


@pytest.fixture(scope="module")
def short_stack(cartesian_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three slices, without an orientation."""
    stack = repeated(replace(cartesian_scan, reference=None, phase=None), 3)
    path = tmp_path_factory.mktemp("short") / "scan.h5"
    write_ismrmrd(replace(stack, kspace=stack.kspace * np.arange(1, 4, dtype=np.float32)[:, None, None, None]), path)
    return path


@pytest.mark.parametrize(("options", "arguments"), [(GRIDDING, GRIDDING_OPTIONS), (TINY_FIT, TINY_OPTIONS)])
def test_slices_come_back_while_others_are_measured_as_fit_and_export_make_them(
    options: dict[str, Any], arguments: Sequence[str], stack_stream: Path, short_stack: Path, tmp_path: Path
) -> None:
    path = stack_stream if options is GRIDDING else short_stack
    begin, slices, _ = parts(path)
    n = len(slices)
    with running(options) as port:
        early, late = in_two(port, begin + b"".join(slices[:-1]), slices[-1] + close(), 6 * (n - 2))
    assert [image.head.slice for image in early.images] == [s for s in range(n - 2) for _ in range(6)]
    came = [*early.images, *late.images]
    assert (late.closed, len(late.texts)) == (True, 1)
    assert [image.head.image_index for image in came] == list(range(1, 6 * n + 1))
    for image, one in zip(came, exported(path, tmp_path, *arguments), strict=True):
        truth = np.abs(one.data[0, 0])
        np.testing.assert_allclose(image.pixels, truth, rtol=1e-3, atol=1e-3 * truth.max())
        np.testing.assert_allclose(image.head.position[:], one.position[:], atol=1e-3)
        assert image.head.phase == one.phase


def test_slices_in_16_bits_wait_for_the_others_for_all_have_one_scale(
    port: int, radial_stream: Path, stack_stream: Path
) -> None:
    assert ask(port, stream(radial_stream)).images  # the server is ready
    begin, slices, _ = parts(stack_stream, text(TEXT, '{"parameters": {"images": "int16"}}'))
    with connect(port) as connection:
        connection.sendall(begin + b"".join(slices[:3]))
        assert nothing_comes(connection)
        connection.sendall(b"".join([*slices[3:], close()]))
        came = answer(connection)
    assert len(came.images) == 60
    assert len({image.meta["dainr_scale"] for image in came.images}) == 1


def test_a_scan_that_returns_to_slices_is_fitted_whole(
    port: int, radial_stream: Path, stack_stream: Path, tmp_path: Path
) -> None:
    assert ask(port, stream(radial_stream)).images
    begin, _, images = parts(stack_stream)
    frame = {m: ismrmrd.AcquisitionHeader.from_buffer_copy(m[2 : 2 + OF_HEAD]).idx.phase for m in images}
    returning = sorted(images, key=lambda m: (frame[m], slice_of(m)))
    with connect(port) as connection:
        connection.sendall(begin + b"".join(returning[: len(returning) // 2]))
        assert nothing_comes(connection)
        connection.sendall(b"".join([*returning[len(returning) // 2 :], close()]))
        came = answer(connection)
    wanted = exported(stack_stream, tmp_path, *GRIDDING_OPTIONS)
    np.testing.assert_allclose(came.series(1), [np.abs(one.data[0, 0]) for one in wanted], rtol=1e-3, atol=1e-3)


def test_a_slice_that_comes_out_shorter_has_what_was_sent_before_sent_again(radial_scan: Scan, tmp_path: Path) -> None:
    """Of spokes without frames all slices have as many as the shortest."""
    path = tmp_path / "scan.h5"
    write_ismrmrd(replace(repeated(replace(radial_scan, reference=None, phase=None), 3), frame=None), path)
    with h5py.File(path, "r+") as file:
        rows = file["dataset/data"]
        begin, slices, _ = parts(path)
        rows.resize(len(rows) - 9, axis=0)
    _, (*_, last), _ = parts(path)
    with running(GRIDDING | {"spokes_per_frame": 9}) as port:
        early, late = in_two(port, begin + b"".join(slices[:2]), last + close(), 6)
    wanted = exported(path, tmp_path, *GRIDDING_OPTIONS, "--spokes-per-frame", "9")
    assert len(early.images) == 6
    assert "sent again" in late.texts[0]
    came = {(image.head.slice, image.head.phase): image for image in late.images}
    for one in wanted:
        image = came[one.slice, one.phase]
        np.testing.assert_allclose(image.pixels, np.abs(one.data[0, 0]), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(image.head.position[:], one.position[:], atol=1e-3)


def test_what_was_sent_of_a_slice_stays_as_it_was(cartesian_scan: Scan, tmp_path: Path) -> None:
    method = get_method("gridding")
    made = method.make(cartesian_scan, 0, method.Config(device="cpu"))
    write_slice(tmp_path, 0, cartesian_scan, made, "gridding")
    write_slice(tmp_path, 0, cartesian_scan, replace(made, images=2 * made.images), "gridding")
    cine, errors, about = read_slice(tmp_path, 0)
    np.testing.assert_array_equal(cine.data[0], made.images)
    assert (errors, about.method, written(tmp_path)) == (None, "gridding", [0])


def test_a_client_killed_half_way_through_its_slices_harms_no_other(
    stack_stream: Path, radial_stream: Path, tmp_path: Path
) -> None:
    begin, slices, _ = parts(stack_stream)
    with running(GRIDDING, keep=tmp_path) as port:
        with connect(port) as connection:
            connection.sendall(begin + b"".join(slices[:4]))
            assert len(answer(connection, 6).images) == 6
        assert len(ask(port, stream(radial_stream)).images) == 6
        wait_until(lambda: status(only(tmp_path)) == "broken")
    assert len(formats.read(only(tmp_path) / "scan.h5").kspace) == 4
    assert not (only(tmp_path) / "slices").exists()


def test_another_whose_scan_is_there_comes_before_one_that_is_still_measured(
    stack_stream: Path, radial_stream: Path, tmp_path: Path
) -> None:
    begin, slices, _ = parts(stack_stream)
    with running(GRIDDING, keep=tmp_path) as port, connect(port) as connection:
        connection.sendall(begin + b"".join(slices[:4]))
        early = answer(connection, 6)
        assert len(ask(port, stream(radial_stream)).images) == 6
        connection.sendall(b"".join([*slices[4:], close()]))
        late = answer(connection)
        wait_until(lambda: status(only(tmp_path)) == "done")
    came = sorted([*early.images, *late.images], key=lambda image: image.head.image_index)
    assert [image.head.image_index for image in came] == list(range(1, 61))
    assert RunFolder(only(tmp_path) / "run").is_complete
    assert len(formats.read(only(tmp_path) / "scan.h5").kspace) == 10


def nothing_comes(connection: socket.socket) -> bool:
    """Whether nothing comes for as long as slices that are sent at once take."""
    connection.settimeout(1)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(60)
    return False


LIMITS_OF = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding><encodingLimits>{}</encodingLimits></encoding>
</ismrmrdHeader>"""


def seen(limits: dict[str, tuple[int, int]], *measured: tuple[int, int, int]) -> list[int]:
    """The complete slices of readouts (slice, phase, whether it is flagged as the last of the slice)."""
    told = "".join(f"<{n}><minimum>{a}</minimum><maximum>{b}</maximum></{n}>" for n, (a, b) in limits.items())
    slices = SlicesSeen(LIMITS_OF.format(told).encode())
    for number, phase, last in measured:
        readout = ismrmrd.Acquisition()
        readout.idx.slice, readout.idx.phase = number, phase
        if last:
            readout.set_flag(ismrmrd.ACQ_LAST_IN_SLICE)
        slices.take(readout)
    return slices.complete()


TWO_PHASES = {"slice": (0, 2), "phase": (0, 1)}


@pytest.mark.parametrize(
    ("limits", "measured", "complete"),
    [
        (TWO_PHASES, [(0, 0, 0), (0, 1, 1), (1, 0, 0)], [0]),
        (TWO_PHASES, [(0, 0, 0), (0, 1, 1)], []),  # the next has not begun
        (TWO_PHASES, [(0, 0, 0), (0, 1, 0), (1, 0, 0)], []),  # no flag
        (TWO_PHASES, [(0, 0, 1), (1, 0, 1), (2, 0, 1)], []),  # another phase is to come
        (TWO_PHASES, [(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 1), (0, 0, 0)], []),  # it returns
        (TWO_PHASES, [(0, 0, 0), (0, 1, 1), (2, 0, 0), (2, 1, 1), (1, 0, 0)], [0, 2]),
        ({"slice": (0, 2)}, [(0, 0, 0), (0, 1, 1), (1, 0, 0)], []),  # phases that the header does not tell
        ({"slice": (0, 2)}, [(0, 0, 1), (1, 0, 0)], [0]),
        ({"slice": (0, 2), "kspace_encoding_step_2": (0, 7)}, [(0, 0, 1), (1, 0, 0)], []),
        ({"slice": (0, 0)}, [(0, 0, 1), (1, 0, 0)], []),
        ({"slice": (0, 1)}, [(0, 0, 1), (7, 0, 0)], []),
        ({}, [(0, 0, 1), (1, 0, 0)], []),
    ],
)
def test_which_slices_are_complete(
    limits: dict[str, tuple[int, int]], measured: list[tuple[int, int, int]], complete: list[int]
) -> None:
    assert seen(limits, *measured) == complete


def test_noise_and_calibration_tell_nothing_of_slices() -> None:
    slices = SlicesSeen(b"no header")
    assert (slices.count, slices.complete()) == (0, [])
    for flag in (ismrmrd.ACQ_IS_NOISE_MEASUREMENT, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION):
        readout = ismrmrd.Acquisition()
        readout.set_flag(flag)
        slices.take(readout)
    assert slices.begun == []


def test_a_slice_alone_has_the_mark_of_the_slice_in_a_stack(cartesian_scan: Scan) -> None:
    stack = repeated(cartesian_scan, 4)
    assert mark(stack.select_slices([0, 1]), 1) == mark(stack, 1)
    times = stack.times.copy()
    times[0] += 1e-3
    assert mark(replace(stack, times=times), 1) != mark(stack, 1)
