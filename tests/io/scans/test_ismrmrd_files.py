"""ISMRMRD files that dainr writes, that other programs wrote, and that are damaged."""

import random

import h5py
import ismrmrd
import numpy as np
import pytest

from dainr.errors import BadScan, DainrError
from dainr.io.scans.formats import read
from dainr.io.scans.ismrmrd_build import build_scan
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from tests.io import centred_fft as fft
from tests.io import header, lines, random_complex, readout, small_scan, write_file
from tests.io.scans.test_ismrmrd import (
    COILS,
    HEADER,
    IMAGE,
    NX,
    NY,
    OBLIQUE,
    SPOKE,
    refused,
)


def test_native_to_ismrmrd_and_back_keeps_everything_it_can_hold(tmp_path):
    scan = small_scan(times=np.arange(12).reshape(2, 6) * 0.01 - 0.5, reference=random_complex(2, 3, 8, 12))
    write_ismrmrd(scan, tmp_path / "w.h5")
    back = read(tmp_path / "w.h5")
    for name in ("kspace", "frame", "noise", "coil_maps", "reference", "matrix", "fov_mm", "slice_thickness_mm"):
        np.testing.assert_array_equal(getattr(back, name), getattr(scan, name), err_msg=name)
    np.testing.assert_allclose(back.trajectory, scan.trajectory, atol=1e-7)
    np.testing.assert_allclose(back.times, scan.times + 0.5, atol=1e-9)


def test_a_reference_of_another_size_is_not_written(tmp_path):
    with pytest.raises(BadScan, match="its reference has shape"):
        write_ismrmrd(small_scan(reference=np.ones((2, 3, 3), np.float32)), tmp_path / "w.h5")
    assert not list(tmp_path.iterdir())


def test_more_readouts_than_the_format_counts_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr("dainr.io.scans.ismrmrd_write.LARGEST_COUNTER", 3)
    monkeypatch.setattr("dainr.io.scans.ismrmrd_write.WRITTEN_AT_A_TIME", 5)
    write_ismrmrd(small_scan(), tmp_path / "w.h5")
    np.testing.assert_array_equal(read(tmp_path / "w.h5").kspace, small_scan().kspace)


def test_ismrmrd_keeps_the_orientation(tmp_path):
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE @ np.diag([240 / 12, 160 / 8, 9.0])
    affine[:3, 3] = 10, -20, 30
    write_ismrmrd(small_scan(affine=affine), tmp_path / "w.h5")
    np.testing.assert_allclose(read(tmp_path / "w.h5").affine, affine, atol=1e-4)


def test_a_noise_measurement_longer_than_one_readout_can_count_survives(tmp_path):
    scan = small_scan(noise=random_complex(3, 70000))
    write_ismrmrd(scan, tmp_path / "w.h5")
    np.testing.assert_array_equal(read(tmp_path / "w.h5").noise, scan.noise)


def test_a_file_that_another_program_reads_can_be_read(tmp_path):
    path = write_file(tmp_path / "c.h5", HEADER, lines(fft(IMAGE)))
    with h5py.File(path, "r"):
        assert read(path).n_readouts == NY


RADIAL = header((NY, NX), kind="radial")
DATA = random_complex(COILS, NX)
BAD = {
    "only noise": (HEADER, [readout(DATA, flags=(ismrmrd.ACQ_IS_NOISE_MEASUREMENT,))], "no imaging readouts"),
    "mixed sizes": (HEADER, [readout(DATA), readout(DATA[:, 1:])], "different sizes"),
    "three dimensions": (HEADER, [readout(DATA), readout(DATA, kspace_encode_step_2=1)], "go to 1, its header tells 1"),
    "no trajectory": (RADIAL, [readout(DATA)], "stores no trajectory"),
    "nan in k-space": (HEADER, [readout(DATA * np.nan)], "kspace holds NaN"),
    "nan in trajectory": (RADIAL, [readout(DATA, SPOKE * np.nan)], "trajectory holds NaN"),
    "k beyond all integers": (RADIAL, [readout(DATA, 1e30 * SPOKE[:, ::-1])], "beyond 0.5"),
    "k too large": (RADIAL, [readout(DATA, 2 * SPOKE[:, ::-1])], "beyond 0.5"),
    "k too negative": (RADIAL, [readout(DATA, SPOKE - [9, 0])], "beyond 0.5"),
    "third component": (RADIAL, [readout(DATA, np.repeat(SPOKE[:, :1], 3, 1))], "third"),
    "no size": (HEADER.replace("<x>16</x>", "<x>0</x>"), [readout(DATA)], "matrix"),
    "size that is no number": (HEADER.replace("<x>16</x>", "<x>wide</x>"), [readout(DATA)], ""),
    "no encoding": (HEADER[: HEADER.index("<encoding>")] + "</ismrmrdHeader>", [readout(DATA)], "no encoding"),
    "all discarded": (HEADER, [readout(DATA, discard_post=NX + 3)], "are to be discarded"),
    "an echo now earlier": (HEADER, [readout(DATA, center_sample=n) for n in (4, 8)], "differ in center_sample"),
    "discarded now and then": (HEADER, [readout(DATA, discard_pre=n) for n in (0, 2)], "differ in discard_pre"),
    "an echo beyond the readout": (HEADER, [readout(DATA, center_sample=60)], "near the k-space centre"),
    "endless field of view": (header((NY, NX), fov=(np.inf, 320.0)), [readout(DATA)], "field of view"),
    "field of view that is no number": (header((NY, NX), fov=(240.0, np.nan)), [readout(DATA)], "field of view"),
    "lines beyond the matrix": (header((NY, NX), centre_line=60), [readout(DATA)], "lines 0 to 0 about 60"),
    "broken header": (HEADER[:-30], [readout(DATA)], "cannot be read"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, kind):
    document, acquisitions, words = BAD[kind]
    refused(write_file(tmp_path / "bad.h5", document, acquisitions), words)


@pytest.mark.parametrize("kind", ["only noise", "mixed sizes", "no encoding", "k too large", "nan in k-space"])
def test_a_bad_stream_is_refused_with_its_name(kind):
    document, acquisitions, words = BAD[kind]
    with pytest.raises(BadScan, match=f"^scanner: .*{words}"):
        build_scan(ismrmrd.xsd.CreateFromDocument(document), acquisitions, "scanner")


def test_coil_maps_of_another_size_are_refused(tmp_path):
    path = write_file(tmp_path / "m.h5", HEADER, [readout(DATA)], coil_maps=np.ones((COILS, NY, NX + 1), np.float32))
    refused(path, "coil_maps")


def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path):
    path = write_file(tmp_path / "x.h5", HEADER, lines(fft(IMAGE[:, :4]), phase=1))
    whole, chance = path.read_bytes(), random.Random(0)
    with h5py.File(path, "r") as file:
        heads, xml = file["dataset/data"][:], file["dataset/xml"][0]
    for attempt in range(180):
        path.write_bytes(whole[: chance.randrange(len(whole))] if attempt % 4 == 0 else whole)
        if attempt % 4:
            with h5py.File(path, "r+") as file:
                damaged = bytearray(heads["head"].tobytes()), bytearray(xml)
                for part in (damaged[attempt % 2],) * chance.choice((1, 4)):
                    part[chance.randrange(len(part))] = chance.randrange(1, 256)
                acquisitions = heads.copy()
                acquisitions["head"] = np.frombuffer(damaged[0], heads["head"].dtype)
                file["dataset/data"][:], file["dataset/xml"][0] = acquisitions, bytes(damaged[1])
        try:
            read(path)
        except DainrError as error:
            assert str(path) in str(error)


@pytest.mark.data
def test_a_scanners_own_file_is_read(data_folder):
    scan = read(data_folder / "meas_SNR_R3.h5")
    assert scan.is_cartesian
    assert (scan.matrix, scan.fov_mm, scan.n_coils) == ((144, 192), (210.0, 280.0), 14)
    assert scan.noise is not None


@pytest.mark.data
def test_the_shared_radial_series_has_its_frames_and_its_trajectory(data_folder):
    scan = read(data_folder / "sax13.h5")
    assert scan.readouts_per_frame.tolist() == [[13] * 25]
    assert (scan.matrix, scan.n_coils, scan.n_slices, scan.n_samples) == ((192, 192), 8, 1, 384)
    assert np.hypot(*scan.trajectory[0].T).max() == pytest.approx(0.5, abs=1e-3)
