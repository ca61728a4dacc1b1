"""Siemens twix files: readouts sorted, placed and timed as the file has them, one measurement of several."""

import os
from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest, BadScan, MissingBackend
from dainr.io.scans import formats, twix
from dainr.io.scans.options import ReadOptions
from tests.io import centred_fft, centred_ifft, fft_image, random_complex
from tests.io.scans import twix_files as files

pytest.importorskip("twixtools", reason="twixtools is not installed")

NY, NX = 12, 16
REAL = Path(os.environ.get("DAINR_DATA", Path(__file__).parents[4] / "shared" / "data")) / "siemens_gre.dat"


def off_centre() -> np.ndarray:
    """Two coils that see a blob right of the middle and above it, on the oversampled matrix."""
    images = np.zeros((2, NY, 2 * NX), np.complex128)
    images[0, 3:5, NX + 3 : NX + 6] = 1.0
    images[1, 3:5, NX + 3 : NX + 6] = 0.5j
    return images


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """One frame, every line of it."""
    return files.write(tmp_path / "meas.dat", (files.header(), files.lines(centred_fft(off_centre()))))


def notes_of(path: Path, **said: str) -> str:
    return "; ".join(formats.read(path, ReadOptions(**said)).notes)


def middle_of_band(noise: np.ndarray) -> np.ndarray:
    """The samples of the middle half of the spectrum, as readouts have it without their oversampling."""
    n = noise.shape[1]
    spectrum = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(noise, axes=1), norm="ortho"), axes=1)[
        :, n // 4 : -(n // 4)
    ]
    return np.fft.fftshift(np.fft.fft(np.fft.ifftshift(spectrum, axes=1), norm="ortho"), axes=1)


def test_an_object_stands_where_it_stood_neither_shifted_nor_squeezed(whole: Path) -> None:
    scan = formats.read(whole)
    assert (scan.matrix, scan.fov_mm, scan.slice_thickness_mm) == ((NY, NX), (240.0, 320.0), 6.0)
    scan = scan.changed(frame=np.zeros((1, NY), np.int32))
    cropped = off_centre()[..., NX // 2 : NX // 2 + NX]
    np.testing.assert_allclose(fft_image(scan), cropped, atol=1e-5)
    assert "readout oversampling removed: 32 to 16 samples" in "; ".join(scan.notes)


def test_files_of_software_vb_hold_the_same(whole: Path, tmp_path: Path) -> None:
    scan = formats.read(files.write_vb(tmp_path / "vb.dat", files.header(), centred_fft(off_centre())))
    later = formats.read(whole)
    np.testing.assert_array_equal(scan.kspace, later.kspace)
    np.testing.assert_array_equal(scan.affine, later.affine)
    np.testing.assert_array_equal(scan.times, later.times)


def test_readouts_are_timed_by_their_stamps(whole: Path) -> None:
    np.testing.assert_allclose(formats.read(whole).times[0], np.arange(NY) * 5e-3)


def test_directions_and_place_are_those_of_the_converter_to_ismrmrd(tmp_path: Path) -> None:
    import ismrmrd

    from dainr.io.scans.twix_file import measurements
    from dainr.io.scans.twix_readouts import acquisitions

    blocks = files.lines(centred_fft(off_centre()), position=(10.0, -20.0, 30.0))
    path = files.write(tmp_path / "meas.dat", (files.header(), blocks))
    first: ismrmrd.Acquisition = acquisitions(measurements(path)[0], [])[0]
    np.testing.assert_allclose(first.phase_dir, [0, 1, 0], atol=1e-6)  # columns of the quaternion's rotation
    np.testing.assert_allclose(first.read_dir, [-1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(first.slice_dir, [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(first.position, [10, -20, 30])
    middle = formats.read(path).affine @ [NX // 2, NY // 2, 0, 1]
    np.testing.assert_allclose(middle[:3], [-10, 20, 30], atol=20.0)  # LPS to RAS, to a pixel


def test_readouts_are_told_apart_by_their_flags(tmp_path: Path) -> None:
    kspace, noise = centred_fft(off_centre()), random_complex(2, 64)
    other = [files.readout(100 * kspace[:, 0], flag) for flag in ("PHASCOR", "noname60", "PATREFSCAN", "MDH_VOP")]
    blocks = [files.readout(noise, "NOISEADJSCAN"), *other, *files.lines(kspace)]
    scan = formats.read(files.write(tmp_path / "meas.dat", (files.header(), blocks)))
    assert scan.n_readouts == NY
    assert scan.noise is not None
    np.testing.assert_allclose(scan.noise, middle_of_band(noise), atol=1e-5)
    said = "; ".join(scan.notes)
    assert "the dwell time of its noise readouts is not stored" in said
    assert "1 phase correction readouts skipped" in said and "1 navigator readouts skipped" in said


def test_lines_for_calibration_and_images_are_lines_of_the_image(tmp_path: Path) -> None:
    blocks = files.lines(centred_fft(off_centre()))
    for block in blocks[4:8]:
        block.add_flag("PATREFSCAN")
        block.add_flag("PATREFANDIMASCAN")
    assert formats.read(files.write(tmp_path / "meas.dat", (files.header(), blocks))).n_readouts == NY


def test_the_centre_of_partial_fourier_is_that_of_the_readouts(tmp_path: Path) -> None:
    kspace = centred_fft(off_centre())[:, 3:]  # the first quarter is not measured, and lines are counted from what is
    path = files.write(tmp_path / "meas.dat", (files.header(), files.lines(kspace, CenterLin=3)))
    ky = formats.read(path).trajectory[0, :, 0, 0]
    np.testing.assert_allclose(np.sort(ky), np.arange(-3, 6) / NY, atol=1e-6)


def test_reversed_readouts_are_turned_round(tmp_path: Path) -> None:
    kspace = centred_fft(off_centre())
    blocks = files.lines(kspace)
    blocks[5] = files.readout(kspace[:, 5, ::-1], "REFLECT", Lin=5, stamp=1010, CenterCol=NX - 1)
    scan = formats.read(files.write(tmp_path / "meas.dat", (files.header(), blocks)))
    cropped = off_centre()[..., NX // 2 : NX // 2 + NX]
    np.testing.assert_allclose(fft_image(scan.changed(frame=np.zeros((1, NY), np.int32))), cropped, atol=0.2)


def test_frames_are_phases_and_slices_their_positions(tmp_path: Path) -> None:
    kspace = centred_fft(off_centre())
    blocks = [
        block
        for place in range(2)
        for phase in range(3)
        for block in files.lines(kspace * (1 + phase), Phs=phase, Sli=place, position=(0.0, 0.0, 8.0 * place))
    ]
    scan = formats.read(files.write(tmp_path / "meas.dat", (files.header(), blocks)))
    assert (scan.n_slices, scan.n_frames) == (2, 3)
    assert np.linalg.norm(scan.affine[:3, 2]) == pytest.approx(8)


def test_the_time_since_the_trigger_gives_cardiac_phases(tmp_path: Path) -> None:
    kspace, ticks = centred_fft(off_centre()), np.arange(10 * NY) * 10
    blocks = [
        files.readout(kspace[:, n % NY], Lin=n % NY, stamp=4000 + int(tick), pmu=int(tick) % 320)
        for n, tick in enumerate(ticks)
    ]
    scan = formats.read(files.write(tmp_path / "meas.dat", (files.header(), blocks)))
    assert scan.frame is None and scan.phase is not None
    np.testing.assert_allclose(scan.phase[0], ticks % 320 / 320, atol=0.01)


def test_spokes_get_the_trajectory_that_is_said(tmp_path: Path) -> None:
    spokes = random_complex(2, 9, 2 * NX)
    square = {"sKSpace.ucTrajectory": 2, "sSliceArray.asSlice[0].dPhaseFOV": 320.0}
    path = files.write(tmp_path / "meas.dat", (files.header(square, {"iPEFTLength": NX}), files.lines(spokes)))
    scan = formats.read(path, ReadOptions(trajectory="golden"))
    assert (scan.matrix, scan.fov_mm) == ((NX, NX), (320.0, 320.0))
    along = scan.trajectory[0, :, -1] - scan.trajectory[0, :, 0]
    angle = np.arctan2(along[:, 0], along[:, 1])
    np.testing.assert_allclose(np.diff(angle) % (2 * np.pi), np.deg2rad(111.246), atol=1e-4)
    np.testing.assert_allclose(np.hypot(*along.T), (2 * NX - 1) / (2 * NX), atol=1e-5)
    assert not scan.trajectory[0, :, NX].any()


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """An adjustment with noise, a scout, and the cine."""
    noise, kspace = random_complex(2, 64), centred_fft(off_centre())
    adjustment = files.header({"tProtocolName": '"AdjCoilSens"', "sRXSPEC.alDwellTime[0]": 10000})
    scout = files.header({"tProtocolName": '"scout"', "sSliceArray.asSlice[0].dThickness": 9.0})
    return files.write(
        tmp_path / "meas.dat",
        (adjustment, [files.readout(noise, "NOISEADJSCAN")]),
        (scout, files.lines(kspace)),
        (files.header(), files.lines(kspace)),
    )


def test_the_last_measurement_is_read_with_the_noise_of_an_adjustment_and_both_are_said(several: Path) -> None:
    scan = formats.read(several)
    assert scan.slice_thickness_mm == 6
    four_times_the_dwell_time = middle_of_band(random_complex(2, 64)) * 2
    np.testing.assert_allclose(scan.noise, four_times_the_dwell_time, atol=1e-5)
    assert scan.notes[0] == "measurement 2 (cine) of 3, the last: --dataset chooses another"
    assert scan.notes[1] == "noise from measurement 0 (AdjCoilSens)"


@pytest.mark.parametrize("name", ["1", "scout"])
def test_another_measurement_is_read_where_it_is_named(name: str, several: Path) -> None:
    scan = formats.read(several, ReadOptions(dataset=name))
    assert scan.slice_thickness_mm == 9
    assert scan.notes[0] == "measurement 1 (scout) of 3"


def test_a_measurement_that_is_not_there_is_refused_with_those_that_are(several: Path) -> None:
    with pytest.raises(BadRequest, match=r"--dataset 7: .*choose one of 0 \(AdjCoilSens\), 1 \(scout\), 2 \(cine\)"):
        formats.read(several, ReadOptions(dataset="7"))


def test_noise_of_other_coils_is_left_aside(tmp_path: Path) -> None:
    noise = (files.header(), [files.readout(random_complex(3, 64), "NOISEADJSCAN")])
    path = files.write(tmp_path / "meas.dat", noise, (files.header(), files.lines(centred_fft(off_centre()))))
    scan = formats.read(path)
    assert scan.noise is None and "is of other coils: left aside" in scan.notes[1]


def test_without_twixtools_the_refusal_says_what_to_install(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingBackend, match=r'pip install "dainr\[twix\]"'):
        formats.read(whole)


@pytest.mark.parametrize("kept", [0.7, 0.99])
def test_a_truncated_file_is_refused(kept: float, whole: Path) -> None:
    content = whole.read_bytes()
    whole.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BadScan, match="it is truncated: it holds"):
        formats.read(whole)


def test_damage_is_one_sentence(whole: Path) -> None:
    content = bytearray(whole.read_bytes())
    place = 10240 + int.from_bytes(content[10240:10244], "little") + 48  # samples and coils of the first readout
    content[place : place + 4] = b"\xff\xff\xff\xff"
    whole.write_bytes(content)
    with pytest.raises(BadScan, match="it is damaged"):
        formats.read(whole)


@pytest.mark.parametrize(
    ("protocol", "flat", "why"),
    [
        ({"sKSpace.lBaseResolution": None}, {}, "tells no sKSpace.lBaseResolution"),
        ({"sSliceArray.asSlice[0].dReadoutFOV": None}, {}, "tells no sSliceArray.asSlice.dReadoutFOV"),
        ({"sSliceArray.asSlice[0].dPhaseFOV": 0.0}, {}, "tells no sSliceArray.asSlice.dPhaseFOV"),
        ({"sKSpace.ucTrajectory": 2}, {}, "stores no trajectory"),
        ({"sFastImaging.lEPIFactor": 7}, {"alRegridMode": 2}, "ramps of the gradient"),
    ],
)
def test_what_cannot_be_read_says_why(protocol: dict, flat: dict, why: str, tmp_path: Path) -> None:
    head = files.header(protocol, flat)
    with pytest.raises(BadScan, match=why):
        formats.read(files.write(tmp_path / "meas.dat", (head, files.lines(centred_fft(off_centre())))))


def test_oversampling_that_is_not_told_is_said(tmp_path: Path) -> None:
    head = files.header(flat={"flReadoutOSFactor": None})
    path = files.write(tmp_path / "meas.dat", (head, files.lines(centred_fft(off_centre()))))
    assert "the protocol tells no readout oversampling: twofold assumed" in notes_of(path)


@pytest.mark.parametrize("content", [b"", b"short", bytes(64), b"\x89HDF\r\n\x1a\n" + bytes(64), os.urandom(4096)])
def test_other_files_are_not_taken_for_twix(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.dat").write_bytes(content)
    assert not twix.recognises(tmp_path / "file.dat")


@pytest.mark.data
@pytest.mark.skipif(not REAL.is_file(), reason="the shared data are not here")
def test_a_real_file_is_read() -> None:
    import twixtools

    scan = formats.read(REAL)
    assert (scan.matrix, scan.n_coils, scan.n_readouts) == ((160, 160), 2, 160)
    assert (scan.fov_mm, scan.slice_thickness_mm) == ((200.0, 200.0), 4.0)
    np.testing.assert_allclose(np.diff(scan.times[0]), 0.01)  # its repetition time
    blocks = twixtools.read_twix(str(REAL), verbose=False, parse_pmu=False)[-1]["mdb"]
    expected = centred_ifft(np.stack([block.data for block in blocks], 1))[..., 80:240]
    found = fft_image(scan.changed(frame=np.zeros((1, 160), np.int32)))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.data
@pytest.mark.skipif(not REAL.is_file(), reason="the shared data are not here")
def test_the_phantom_of_a_real_file_lies_as_it_was_put_into_the_scanner() -> None:
    """The phantom of the American College of Radiology, slice 1, from its test guidance.

    The bars of its wedges are in front, and of the holes that show resolution the largest are on the patient's right.
    """
    to_ras = formats.read(REAL).affine
    middle, bars, largest, smallest = (to_ras @ [x, y, 0, 1] for x, y in ((80, 80), (77, 138), (55, 47), (107, 55)))
    assert bars[1] - middle[1] > 60
    assert largest[0] - middle[0] > 20 and smallest[0] - middle[0] < -20
