"""Reconstructed series in files: dainr's own, NIfTI as nibabel sees it, pictures as a player sees them."""

import gzip
import random
import re
import subprocess
from dataclasses import replace

import h5py
import imageio.v2 as imageio
import imageio_ffmpeg
import jaxtyping
import nibabel
import numpy as np
import pytest
from PIL import Image, ImageSequence

from dainr.cine import Cine
from dainr.errors import BadScan, DainrError
from dainr.io.images.cine import read_cine, write_cine
from dainr.io.images.nifti import write_nifti
from dainr.io.images.series import read_series
from dainr.io.images.video import frame_rate, windowed, write_movie, write_sheet
from dainr.io.scans import native
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from tests.io import AFFINE, random_complex, small_scan

SLICES, FRAMES, NY, NX = 2, 5, 6, 9


def cine(step=0.04, affine=AFFINE, data=None, start=0.5):
    series = random_complex(SLICES, FRAMES, NY, NX) if data is None else data
    times = start + step * np.arange(series.shape[1])
    return Cine(series.astype(np.complex64), times, (120.0, 270.0), 7.0, affine)


def moving_dot():
    """A bright dot that steps to the right, a pixel a frame, on one slice of 20 x 24."""
    data = np.zeros((1, 6, 20, 24))
    for frame in range(6):
        data[0, frame, 4:8, 3 + 3 * frame : 6 + 3 * frame] = 1
    return cine(step=0.1, data=data, affine=None)


@pytest.mark.parametrize("affine", [AFFINE, None])
def test_a_cine_is_read_back_equal_with_what_goes_with_it(tmp_path, affine):
    written = cine(affine=affine)
    write_cine(written, tmp_path / "c.h5", error=np.arange(3.0))
    back, extra = read_cine(tmp_path / "c.h5")
    np.testing.assert_array_equal(back.data, written.data)
    np.testing.assert_array_equal(back.times, written.times)
    np.testing.assert_array_equal(extra["error"], np.arange(3.0))
    assert (back.fov_mm, back.slice_thickness_mm) == (written.fov_mm, written.slice_thickness_mm)
    assert back.affine is None if affine is None else np.array_equal(back.affine, affine)


@pytest.mark.parametrize("cyclic", [True, False, None])
def test_whether_frames_are_a_cycle_is_kept(tmp_path, cyclic):
    write_cine(replace(cine(), cyclic=cyclic), tmp_path / "c.h5")
    assert read_cine(tmp_path / "c.h5")[0].cyclic is cyclic


@pytest.mark.parametrize("name", ["c.nii", "c.nii.gz"])
def test_nifti_puts_a_pixel_where_the_scanner_does(tmp_path, name):
    data = np.zeros((SLICES, FRAMES, NY, NX))
    data[1, 3, 2, 7] = 5  # slice, frame, y, x
    write_nifti(cine(data=data), tmp_path / name)
    image = nibabel.load(tmp_path / name)
    values = image.get_fdata()
    assert values.shape == (NX, NY, SLICES, FRAMES)
    (x, y, z, t) = np.unravel_index(values.argmax(), values.shape)
    assert (x, y, z, t) == (7, 2, 1, 3)
    assert values.sum() == 5
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(image.affine @ [x, y, z, 1], AFFINE @ [7, 2, 1, 1], atol=1e-4)


def test_nifti_holds_magnitude_spacing_units_and_times(tmp_path):
    series = cine(affine=None)
    write_nifti(series, tmp_path / "c.nii")
    image = nibabel.load(tmp_path / "c.nii")
    np.testing.assert_allclose(image.get_fdata(), np.abs(series.data).transpose(3, 2, 0, 1), rtol=1e-6)
    np.testing.assert_allclose(image.header.get_zooms(), (30, 20, 7, 0.04), rtol=1e-5)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert float(image.header["toffset"]) == pytest.approx(0.5)
    np.testing.assert_allclose(image.affine, series.orientation(), atol=1e-5)


def test_nifti_of_one_orthogonal_orientation_agrees_in_both_of_its_forms(tmp_path):
    affine = np.array([[0, -20.0, 0, 5], [30.0, 0, 0, 6], [0, 0, 7.0, 7], [0, 0, 0, 1]])
    write_nifti(cine(affine=affine), tmp_path / "c.nii")
    image = nibabel.load(tmp_path / "c.nii")
    np.testing.assert_allclose(image.header.get_qform(), affine, atol=1e-4)
    np.testing.assert_allclose(image.header.get_sform(), affine, atol=1e-4)
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1


def test_a_series_is_the_same_from_every_kind_of_file(tmp_path):
    series = cine()
    np.save(tmp_path / "c.npy", series.data)
    write_cine(series, tmp_path / "c.h5")
    native.write(small_scan(), tmp_path / "scan.h5")
    write_ismrmrd(small_scan(), tmp_path / "scan.mrd")
    image = nibabel.Nifti1Image(np.abs(series.data).transpose(3, 2, 0, 1), AFFINE)
    nibabel.save(image, tmp_path / "c.nii.gz")
    np.testing.assert_array_equal(read_series(tmp_path / "c.npy"), series.data)
    np.testing.assert_array_equal(read_series(tmp_path / "c.h5"), series.data)
    np.testing.assert_allclose(read_series(tmp_path / "c.nii.gz"), np.abs(series.data), rtol=1e-6)
    np.testing.assert_array_equal(read_series(tmp_path / "scan.h5"), small_scan().reference)
    np.testing.assert_array_equal(read_series(tmp_path / "scan.mrd"), small_scan().reference)
    for name in ("c.npy", "c.h5", "c.nii.gz", "scan.h5", "scan.mrd"):
        blank = read_series(tmp_path / name, header_only=True)
        assert blank.shape == read_series(tmp_path / name).shape
        assert not blank.any()


def test_frames_without_a_slice_axis_are_one_slice(tmp_path):
    np.save(tmp_path / "c.npy", np.ones((FRAMES, NY, NX)))
    assert read_series(tmp_path / "c.npy").shape == (1, FRAMES, NY, NX)
    nibabel.save(nibabel.Nifti1Image(np.ones((NX, NY, SLICES), np.float32), AFFINE), tmp_path / "c.nii")
    assert read_series(tmp_path / "c.nii").shape == (SLICES, 1, NY, NX)


@pytest.mark.parametrize("value", [np.ones((3, 3)), np.ones((0, 3, 3)), np.array(["a"]), np.array([None])])
def test_an_array_that_is_no_series_is_refused(tmp_path, value):
    np.save(tmp_path / "c.npy", value)
    with pytest.raises(BadScan, match=r"c\.npy"):
        read_series(tmp_path / "c.npy")


def test_files_of_another_kind_are_refused(tmp_path):
    np.savez(tmp_path / "c.npz", a=np.ones(3))
    (tmp_path / "c.npz").rename(tmp_path / "archive.npy")
    (tmp_path / "c.txt").write_text("1 2 3")
    native.write(small_scan(reference=None), tmp_path / "scan.h5")
    cases = {"absent.npy": "no such file", "c.txt": "kind", "scan.h5": "reference nor a cine", "archive.npy": "read"}
    for name, words in cases.items():
        with pytest.raises(BadScan, match=words):
            read_series(tmp_path / name)
    for name in ("absent.h5", "c.txt", "scan.h5"):
        with pytest.raises(BadScan, match=r"no cine file|no dainr-cine file"):
            read_cine(tmp_path / name)


def test_a_cine_file_of_three_axes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    write_cine(cine(), tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "r+") as file:
        del file["cine"]
        file["cine"] = random_complex(FRAMES, NY, NX)
    with pytest.raises(BadScan, match="shape"):
        read_cine(tmp_path / "c.h5")


@pytest.mark.parametrize("name", ["c.npy", "c.nii", "c.nii.gz"])
def test_a_damaged_series_is_read_or_refused_and_nothing_else(tmp_path, name):
    path, chance = tmp_path / name, random.Random(0)
    if name == "c.npy":
        np.save(path, cine().data)
    else:
        nibabel.save(nibabel.Nifti1Image(np.ones((NX, NY, SLICES, FRAMES), np.float32), AFFINE), path)
    whole = path.read_bytes()
    for attempt in range(120):
        damaged = bytearray(whole)
        if attempt % 3 == 0:
            damaged = damaged[: chance.randrange(len(damaged))]
        for _ in range(attempt % 3):
            damaged[chance.randrange(min(len(damaged), 400))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            read_series(path)
        except DainrError as error:
            assert str(path) in str(error)


def test_an_unreadable_nifti_is_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((NX, NY, SLICES, FRAMES), np.float32), AFFINE), tmp_path / "c.nii")
    damaged = bytearray((tmp_path / "c.nii").read_bytes())
    damaged[70:72] = b"\x00\x10"  # a data type that does not exist
    (tmp_path / "c.nii").write_bytes(damaged)
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(bytes(damaged))[:10] + b"\xff" * 100)
    for name in ("c.nii", "c.nii.gz"):
        with pytest.raises(BadScan, match="cannot be read"):
            read_series(tmp_path / name)


def test_windowing_is_linear_up_to_white():
    grey = windowed(np.array([0.0, 0.5, 1.0, 2.0]), top=1.0)
    assert grey.tolist() == [0, 128, 255, 255]
    assert windowed(np.zeros((2, 2))).max() == 0
    assert windowed(np.arange(1001.0)).max() == 255


@pytest.mark.parametrize(("step", "rate"), [(0.05, 20), (0.1, 10), (0.01, 30), (0.15, 8), (1.0, 20)])
def test_playback_is_in_real_time_within_what_an_eye_follows(step, rate):
    assert frame_rate(cine(step=step)) == pytest.approx(rate)
    assert frame_rate(cine(data=np.ones((1, 1, NY, NX)))) == 20


def decoded(path):
    """The frames of a movie as grey pictures of 24 x 20 pixels, and seconds between them."""
    if path.suffix == ".gif":
        with Image.open(path) as movie:
            frames = [np.asarray(frame.convert("L").resize((24, 20))) for frame in ImageSequence.Iterator(movie)]
            return np.stack(frames).astype(float), movie.info["duration"] / 1000
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-s", "24x20", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    rate = float(re.search(r"([\d.]+) fps", done.stderr.decode()).group(1))
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 20, 24).astype(float), 1 / rate


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_a_movie_shows_every_frame_in_order_and_in_real_time(tmp_path, suffix):
    path = tmp_path / f"c.{suffix}"
    write_movie(moving_dot(), path)
    frames, spacing = decoded(path)
    assert len(frames) == 6
    assert spacing == pytest.approx(0.1, abs=1e-3)
    bright = np.where(frames > 100, frames, 0)
    for axis, expected in ((1, 4 + 3 * np.arange(6)), (0, np.full(6, 5.5))):  # x moves, y stays
        profile = bright.sum(axis=2 - axis)
        centre = (profile * np.arange(profile.shape[1])).sum(1) / profile.sum(1)
        np.testing.assert_allclose(centre, expected, atol=0.4)


def test_the_contact_sheet_of_one_frame_is_that_frame(tmp_path):
    one = cine(data=np.ones((1, 1, 16, 12), np.complex64))
    write_sheet(one, tmp_path / "c.png")
    assert np.asarray(imageio.imread(tmp_path / "c.png")).shape == (16, 12)


def test_a_contact_sheet_shows_every_frame_under_one_window(tmp_path):
    data = np.stack([np.full((NY, NX), float(frame)) for frame in range(FRAMES)])[None].repeat(SLICES, 0)
    write_sheet(cine(data=data), tmp_path / "c.png")
    sheet = np.asarray(imageio.imread(tmp_path / "c.png"))
    greys = np.round(255 * np.arange(FRAMES) / (FRAMES - 1))
    values, counts = np.unique(sheet, return_counts=True)
    assert set(greys) == set(values)
    assert all(counts[values == grey] == SLICES * NY * NX for grey in greys[1:])
    assert list(tmp_path.iterdir()) == [tmp_path / "c.png"]
