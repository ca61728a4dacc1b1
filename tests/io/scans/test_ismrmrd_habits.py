"""Habits of converters that make a file look like another one: read as what they are, or refused with a way on."""

from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from dainr.errors import BadScan
from dainr.io.scans.reading import load
from tests.io import centred_fft, fft_image, header, lines, random_complex, readout, write_file

NY, NX = 16, 16
FOV, WIDE = (160.0, 160.0), (160.0, 320.0)
CALIBRATION = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION


def wide_image() -> np.ndarray:
    """Coil images `coil y x` on twice the field of view in x, empty outside its middle."""
    image = np.zeros((2, NY, 2 * NX), complex)
    image[:, 3:9, NX - 5 : NX + 2] = [[[1]], [[2j]]]
    return image


def cine(kspace: np.ndarray, **fields: object) -> list[ismrmrd.Acquisition]:
    return [a for phase in range(2) for a in lines(kspace, phase=phase, **fields)]


def test_an_asymmetric_echo_oversampled_on_the_field_of_view_of_the_image_is_not_squeezed(tmp_path: Path) -> None:
    kspace = centred_fft(wide_image())[..., 6:]
    document = header((NY, 2 * NX), (NY, NX), FOV, FOV, centre_line=NY // 2)
    scan = load(write_file(tmp_path / "a.h5", document, cine(kspace, center_sample=NX - 6)))
    assert scan.decided["undeclared_oversampling"] == 2
    along = np.rint(scan.trajectory[0, 0, :, 1] * NX).astype(int) + NX // 2
    cropped = wide_image()[..., NX // 2 : NX // 2 + NX]
    want = centred_fft(cropped)[:, :, along]
    assert np.linalg.norm(scan.kspace[0, :, :NY] - want) < 0.15 * np.linalg.norm(want)


@pytest.mark.parametrize(("encoded", "recon"), [((16.0, 32.0), FOV), (WIDE, (16.0, 16.0))])
def test_fields_of_view_of_which_one_is_in_cm_are_refused(
    tmp_path: Path, encoded: tuple[float, float], recon: tuple[float, float]
) -> None:
    document = header((NY, 2 * NX), (NY, NX), encoded, recon)
    with pytest.raises(BadScan, match=r"encoded and .* of the image.*both are in mm"):
        load(write_file(tmp_path / "a.h5", document, cine(centred_fft(wide_image()))))


def test_a_header_without_a_trajectory_is_one_of_lines(tmp_path: Path) -> None:
    document = header((NY, 2 * NX), (NY, NX), WIDE, FOV).replace("<trajectory>cartesian</trajectory>", "")
    scan = load(write_file(tmp_path / "a.h5", document, cine(centred_fft(wide_image()))))
    np.testing.assert_allclose(fft_image(scan, frame=1), wide_image()[..., 8:24], atol=1e-5)
    assert any("read as Cartesian lines" in note for note in scan.notes)


@pytest.mark.parametrize("flag", [CALIBRATION, ismrmrd.ACQ_IS_NAVIGATION_DATA])
def test_a_flag_that_every_readout_carries_means_nothing(tmp_path: Path, flag: int) -> None:
    document = header((NY, 2 * NX), (NY, NX), WIDE, FOV)
    scan = load(write_file(tmp_path / "a.h5", document, cine(centred_fft(wide_image()), flags=(flag,))))
    assert scan.n_readouts == 2 * NY
    assert any("every readout is flagged as" in note for note in scan.notes)
    assert not any("skipped" in note for note in scan.notes)


def test_calibration_lines_with_counters_of_their_own_are_used(tmp_path: Path) -> None:
    kspace = centred_fft(wide_image())
    of_maps = [readout(kspace[:, n], flags=(CALIBRATION,), kspace_encode_step_1=n, set=1) for n in range(3, 13)]
    document = header((NY, 2 * NX), (NY, NX), WIDE, FOV)
    scan = load(write_file(tmp_path / "a.h5", document, cine(kspace) + of_maps))
    assert scan.n_readouts == 2 * NY
    assert scan.calibration is not None
    assert scan.calibration.shape[2] == len(of_maps)


@pytest.mark.parametrize("slice_dir", [(0.0, 0.0, 0.0), (0.0, 0.0, 0.5)])
def test_directions_that_are_not_of_length_one_or_lack_the_slice_are_directions(
    tmp_path: Path, slice_dir: tuple[float, float, float]
) -> None:
    k = random_complex(2, NY, 2 * NX)
    places = {0: 0.0, 1: 20.0, 2: 10.0}
    place = {"read_dir": (0.5, 0, 0), "phase_dir": (0, 0.5, 0), "slice_dir": slice_dir}
    made = [a for n, z in places.items() for a in cine((n + 1) * k, slice=n, position=(0, 0, z), **place)]
    scan = load(write_file(tmp_path / "a.h5", header((NY, 2 * NX), (NY, NX), WIDE, FOV), made))
    assert scan.decided["slice_order"] == [0, 2, 1]
    assert scan.affine is not None
    np.testing.assert_allclose(np.linalg.norm(scan.affine[:3, :3], axis=0), [10, 10, 10], atol=1e-4)


def test_samples_and_lines_beyond_an_encoded_space_of_what_was_acquired_are_refused(tmp_path: Path) -> None:
    """Its field of view, cut down with the matrix, is not the step from one sample to the next."""
    kspace = centred_fft(wide_image())
    document = header((NY, 26), (NY, NX), (160.0, 260.0), FOV)
    with pytest.raises(BadScan, match="26 samples, the echo at 10, and its header tells 26"):
        load(write_file(tmp_path / "x.h5", document, cine(kspace[..., 6:], center_sample=NX - 6)))
    document = header((12, 2 * NX), (NY, NX), (120.0, 320.0), FOV, centre_line=4)
    with pytest.raises(BadScan, match="lines 0 to 11 about 4 are more than its encoded matrix holds, 12"):
        load(write_file(tmp_path / "y.h5", document, cine(kspace[:, 4:])))
