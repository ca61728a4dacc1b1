"""ISMRMRD files made with the `ismrmrd` package: the images, positions, frames and units in them are found again."""

from dataclasses import fields

import ismrmrd
import jaxtyping
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dainr.errors import BadScan
from dainr.io.scans import ismrmrd_file
from dainr.io.scans.formats import read
from dainr.io.scans.ismrmrd_build import build_scan
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.scan import SET_ASIDE, Scan
from tests.io import centred_fft as fft
from tests.io import exact_kspace, fft_image, header, lines, random_complex, readout, write_file

NY, NX, COILS = 12, 16, 2
IMAGE = random_complex(COILS, NY, NX, seed=7)
HEADER = header((NY, NX))
REVERSE = (ismrmrd.ACQ_IS_REVERSE,)
OBLIQUE = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()  # columns x, y, slice in LPS
DIRECTIONS = {"read_dir": OBLIQUE[:, 0], "phase_dir": OBLIQUE[:, 1], "slice_dir": OBLIQUE[:, 2]}
SPOKE = np.stack([np.linspace(-8, 7, NX), np.zeros(NX)], -1)


@pytest.fixture(autouse=True)
def checks_as_users_have_them(monkeypatch):
    """Wrong shapes must be refused by the program's own checks; the annotations are only checked in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def close(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


def in_oversampled(image, factor=2, seed=8):
    """The image in the middle of a readout `factor` times as long, with other signal outside it."""
    wide = random_complex(*image.shape[:2], factor * image.shape[2], seed=seed)
    start = wide.shape[2] // 2 - image.shape[2] // 2
    wide[..., start : start + image.shape[2]] = image
    return wide


def refused(path, *words):
    with pytest.raises(BadScan) as error:
        read(path)
    assert str(path) in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_file_read_a_few_acquisitions_at_a_time_is_the_same_scan(tmp_path, monkeypatch):
    path = write_file(tmp_path / "c.h5", HEADER, lines(fft(IMAGE)))
    whole = read(path)
    monkeypatch.setattr(ismrmrd_file, "READ_AT_A_TIME", 5)
    parts = read(path)
    assert np.array_equal(parts.kspace, whole.kspace)
    assert np.array_equal(parts.trajectory, whole.trajectory)


def assert_same(found, expected):
    """Every part alike, to the last bit."""
    for part in fields(Scan):
        one, other = getattr(found, part.name), getattr(expected, part.name)
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other, err_msg=part.name)
        else:
            assert one == other, part.name


def measured(kind):
    """Header, acquisitions and the arrays beside them of two slices in two frames, and what came with them."""
    noise = readout(random_complex(COILS, 50), flags=(ismrmrd.ACQ_IS_NOISE_MEASUREMENT,), sample_time_us=2.0)
    skipped = readout(random_complex(COILS, NX, seed=5), flags=(ismrmrd.ACQ_IS_NAVIGATION_DATA,))
    imaging = [
        readout(
            random_complex(COILS, NX, seed=place),
            None if kind == "cartesian" else SPOKE / (place + 1),
            kspace_encode_step_1=place % NY,
            slice=place % 2,
            phase=place // NY,
            stamp=1000 + place,
            sample_time_us=5.0,
            position=OBLIQUE[:, 2] * 9 * (place % 2),
            **DIRECTIONS,
        )
        for place in range(2 * NY)
    ]
    arrays = {"coil_maps": random_complex(2, COILS, NY, NX), "phase": np.linspace(0, 0.9, NY, dtype=np.float32)}
    return header((NY, NX), kind=kind), [noise, skipped, *imaging], arrays


@pytest.mark.parametrize("kind", ["cartesian", "radial"])
def test_a_stream_of_acquisitions_gives_the_scan_of_their_file(tmp_path, kind):
    document, acquisitions, arrays = measured(kind)
    path = write_file(tmp_path / "f.h5", document, acquisitions, **arrays)
    parsed = ismrmrd.xsd.CreateFromDocument(document)
    streamed = build_scan(parsed, iter(acquisitions), str(path), arrays)
    assert_same(streamed, read(path))
    assert streamed.noise is not None and streamed.affine is not None and streamed.n_frames == 2
    bare = build_scan(parsed, iter(acquisitions), "scanner")
    assert (bare.name, bare.coil_maps, bare.phase, bare.reference) == ("scanner", None, None, None)
    np.testing.assert_array_equal(bare.kspace, streamed.kspace)


@pytest.mark.parametrize("recon", [(NY // 2, NX), (1, NX)])
def test_lines_that_the_image_has_no_pixels_for_get_some(tmp_path, recon):
    document = header((NY, NX), recon, fov=(240.0, 320.0), recon_fov=(240.0, 320.0))
    scan = read(write_file(tmp_path / "l.h5", document, lines(fft(IMAGE))))
    assert scan.matrix == (NY, NX) and scan.fov_mm == (240.0, 320.0)
    close(fft_image(scan), IMAGE)


def test_readouts_longer_than_encoded_lose_their_oversampling_too(tmp_path):
    wide = in_oversampled(IMAGE, 2)
    long = fft(wide)
    document = header((NY, 2 * NX - 4), (NY, NX), fov=(240.0, 640.0), recon_fov=(240.0, 320.0))
    scan = read(write_file(tmp_path / "l.h5", document, lines(long)))
    assert scan.is_cartesian
    close(fft_image(scan), IMAGE)


def test_a_fully_sampled_cartesian_file_transforms_to_its_image(tmp_path):
    shuffled = np.random.default_rng(0).permutation(NY)
    acquisitions = lines(fft(IMAGE))
    scan = read(write_file(tmp_path / "c.h5", HEADER, [acquisitions[i] for i in shuffled]))
    assert scan.matrix == (NY, NX)
    assert scan.fov_mm == (240.0, 320.0)
    assert scan.slice_thickness_mm == 8.0
    assert scan.is_cartesian
    close(fft_image(scan), IMAGE)


@pytest.mark.parametrize("nx", [16, 15])
def test_readout_oversampling_is_removed_without_touching_the_image(tmp_path, nx):
    image = random_complex(COILS, NY, nx)
    document = header((NY, 2 * nx), (NY, nx), fov=(240.0, 40.0 * nx), recon_fov=(240.0, 20.0 * nx))
    scan = read(write_file(tmp_path / "o.h5", document, lines(fft(in_oversampled(image)))))
    assert scan.n_samples == nx
    assert any("oversampling removed" in note for note in scan.notes)
    close(fft_image(scan), image)


def test_reversed_readouts_are_turned_round(tmp_path):
    kspace = fft(IMAGE)
    acquisitions = [
        readout(kspace[:, n, ::-1], flags=REVERSE, kspace_encode_step_1=n)
        if n % 2
        else readout(kspace[:, n], kspace_encode_step_1=n)
        for n in range(NY)
    ]
    scan = read(write_file(tmp_path / "r.h5", HEADER, acquisitions))
    close(fft_image(scan), IMAGE)
    assert "6 reversed readouts turned round" in scan.notes


def test_discarded_samples_are_dropped_and_the_image_stays(tmp_path):
    kspace = np.pad(fft(IMAGE), ((0, 0), (0, 0), (3, 1)), constant_values=99)
    acquisitions = lines(kspace, discard_pre=3, discard_post=1, center_sample=3 + NX // 2)
    close(fft_image(read(write_file(tmp_path / "d.h5", HEADER, acquisitions))), IMAGE)


def test_discarded_samples_of_a_reversed_readout_count_in_order_of_acquisition(tmp_path):
    kspace = np.pad(fft(IMAGE)[..., ::-1], ((0, 0), (0, 0), (3, 1)), constant_values=99)
    acquisitions = lines(kspace, discard_pre=3, discard_post=1, flags=REVERSE)
    close(fft_image(read(write_file(tmp_path / "d.h5", HEADER, acquisitions))), IMAGE)


def test_noise_is_kept_apart_and_other_readouts_are_skipped_and_counted(tmp_path):
    noise, other = random_complex(COILS, 50), random_complex(COILS, NX, seed=5)
    acquisitions = [
        readout(noise, flags=(ismrmrd.ACQ_IS_NOISE_MEASUREMENT,)),
        readout(other, flags=(ismrmrd.ACQ_IS_NAVIGATION_DATA,)),
        readout(other, flags=(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,)),
        readout(other, flags=(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,)),
        readout(other, contrast=1),
        *lines(fft(IMAGE), flags=(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING,)),
    ]
    scan = read(write_file(tmp_path / "n.h5", HEADER, acquisitions))
    np.testing.assert_array_equal(scan.noise, noise)
    close(fft_image(scan), IMAGE)
    assert "1 navigator readouts skipped" in scan.notes
    assert any("1 readouts of others are skipped: --contrast takes another" in note for note in scan.notes)
    assert any("2 parallel-imaging calibration readouts skipped: fewer than" in note for note in scan.notes)


@pytest.mark.parametrize("counter", ["phase", "repetition"])
def test_frames_come_from_the_counter_that_changes(tmp_path, counter):
    images = [IMAGE, 2 * IMAGE[:, ::-1], IMAGE.conj()]
    by_frame = [lines(fft(image), **{counter: 2 * n}) for n, image in enumerate(images)]
    interleaved = [a for group in zip(*reversed(by_frame), strict=True) for a in group]
    for stamp, acquisition in enumerate(interleaved):
        acquisition.acquisition_time_stamp = 1000 + stamp
    scan = read(write_file(tmp_path / "f.h5", HEADER, interleaved))
    assert scan.readouts_per_frame.tolist() == [[NY] * 3]
    for n, image in enumerate(images):
        close(fft_image(scan, frame=n), image)
    np.testing.assert_allclose(scan.times[scan.frame == 2], 0.0025 * 3 * np.arange(NY))


def test_slices_may_have_different_readouts_in_their_frames(tmp_path):
    images = random_complex(2, 3, 2, NY, NX)
    first = [a for n, image in enumerate(images[0]) for a in lines(fft(image), phase=n)]
    second = [a for n, image in enumerate(images[1]) for a in lines(fft(image), phase=n, slice=1)]
    measured = [*second, *first[:-3], *lines(fft(images[1][0]), slice=1)[:5]]
    for stamp, acquisition in enumerate(measured):
        acquisition.acquisition_time_stamp = 4_000_000 + stamp
    scan = read(write_file(tmp_path / "f.h5", HEADER, measured))
    assert scan.readouts_per_frame.tolist() == [[NY, NY, NY - 3], [NY + 5, NY, NY]]
    assert (scan.frame == SET_ASIDE).sum(1).tolist() == [8, 0]
    assert scan.times.max() == pytest.approx(0.0025 * (len(second) + len(first) - 3 + 4))
    for n in range(2):
        close(fft_image(scan, frame=n), images[0, n])
    written = tmp_path / "again.h5"
    write_ismrmrd(scan, written)
    again = read(written)
    assert again.readouts_per_frame.tolist() == scan.readouts_per_frame.tolist()
    np.testing.assert_array_equal(again.kspace, scan.kspace)


def test_of_slices_without_frames_as_many_readouts_are_used_as_each_has(tmp_path):
    whole = [a for s in range(2) for a in lines(fft((s + 1) * IMAGE), slice=s)]
    scan = read(write_file(tmp_path / "u.h5", HEADER, whole[:-2]))
    assert (scan.n_readouts, scan.frame) == (NY - 2, None)
    assert f"slices have from {NY - 2} to {NY} readouts: the first {NY - 2} of each are used" in scan.notes


def test_without_counters_or_stamps_readouts_are_a_repetition_time_apart(tmp_path):
    scan = read(write_file(tmp_path / "t.h5", header((NY, NX), tr_ms=3.5), lines(fft(IMAGE))))
    assert scan.frame is None
    np.testing.assert_allclose(np.diff(scan.times[0]), 3.5e-3)


def test_two_oblique_slices_lie_where_their_positions_say(tmp_path):
    first, gap = np.array([12.0, -30.0, 45.0]), 10.0
    acquisitions = [
        a
        for n in (1, 0)
        for a in lines(fft((n + 1) * IMAGE), slice=n, position=first + n * gap * OBLIQUE[:, 2], **DIRECTIONS)
    ]
    scan = read(write_file(tmp_path / "s.h5", HEADER, acquisitions))
    close(fft_image(scan, index=1), 2 * IMAGE)
    for x, y, n in ((8, 6, 0), (8, 6, 1), (0, 0, 0), (15, 3, 1)):
        lps = first + OBLIQUE @ np.array([(x - NX // 2) * 320 / NX, (y - NY // 2) * 240 / NY, n * gap])
        np.testing.assert_allclose((scan.affine @ [x, y, n, 1])[:3], lps * [-1, -1, 1], atol=1e-3)


@pytest.mark.parametrize("fov_y", [480.0, 377.4])
def test_phase_oversampling_stays_in_the_image_and_on_the_grid(tmp_path, fov_y):
    ny = round(fov_y * NY / 240)
    image = random_complex(COILS, ny, NX)
    document = header((ny, NX), (NY, NX), fov=(fov_y, 320.0), recon_fov=(240.0, 320.0))
    scan = read(write_file(tmp_path / "p.h5", document, lines(fft(image))))
    assert scan.matrix == (ny, NX)
    assert scan.fov_mm[0] == pytest.approx(fov_y)
    close(fft_image(scan), image)


def test_partial_fourier_lines_are_counted_from_the_centre_line(tmp_path):
    kspace = fft(IMAGE)[:, 3:]
    scan = read(write_file(tmp_path / "pf.h5", header((NY, NX), centre_line=3), lines(kspace)))
    np.testing.assert_allclose(scan.trajectory[0, :, 0, 0], (np.arange(9) - 3) / NY, atol=1e-6)


def test_an_asymmetric_echo_is_placed_by_its_centre_sample(tmp_path):
    acquisitions = lines(fft(IMAGE)[..., 5:], center_sample=NX // 2 - 5)
    scan = read(write_file(tmp_path / "a.h5", HEADER, acquisitions))
    np.testing.assert_allclose(scan.trajectory[0, 0, :, 1] * NX, np.arange(5 - NX // 2, NX // 2), atol=1e-5)
    close(scan.kspace[0], exact_kspace(IMAGE, scan.trajectory[0].astype(np.float64)))


@pytest.mark.parametrize("at_the_end", [False, True])
def test_oversampling_of_an_asymmetric_echo_is_removed_and_it_stays_on_the_grid(tmp_path, at_the_end):
    nx, missing = 64, 40
    x = np.linspace(-2, 2, 2 * nx)
    wide = random_complex(COILS, NY, 1) * np.exp(-(x**2)) * (1 + 0.3j * np.cos(9 * x))  # also beyond the readout
    image = wide[..., nx // 2 : nx // 2 + nx]
    kept, centre = (slice(None, -missing), nx) if at_the_end else (slice(missing, None), nx - missing)
    document = header((NY, 2 * nx), (NY, nx), fov=(240.0, 640.0), recon_fov=(240.0, 320.0))
    scan = read(write_file(tmp_path / "a.h5", document, lines(fft(wide)[..., kept], center_sample=centre)))
    assert scan.is_cartesian
    assert scan.n_samples == nx - missing // 2 - 2  # less the two beside those missing
    close(scan.kspace[0], exact_kspace(image, scan.trajectory[0].astype(np.float64)), 2e-3)


@pytest.mark.parametrize("factor", [1, 2])
def test_samples_that_a_pilot_tone_disturbs_are_dropped(tmp_path, factor):
    kspace = fft(np.pad(IMAGE, ((0, 0), (0, 0), (NX // 2 * (factor - 1),) * 2)))
    kspace[..., :3] = kspace[..., -1:] = 99
    fov = 320.0 * factor
    document = header((NY, factor * NX), (NY, NX), (240.0, fov), (240.0, 320.0), parameters={"PilotTone": 1})
    scan = read(write_file(tmp_path / "p.h5", document, lines(kspace)))
    assert scan.is_cartesian and np.abs(scan.kspace).max() < 99
    assert "3 samples at the start and 1 at the end of readouts dropped, disturbed by the pilot tone" in scan.notes
    if factor == 1:
        close(scan.kspace[0], exact_kspace(IMAGE, scan.trajectory[0].astype(np.float64)))


@pytest.mark.parametrize("turned", [(1,), (0, 1)])
def test_a_pilot_tone_disturbs_reversed_readouts_where_they_began(tmp_path, turned):
    kspace = fft(IMAGE)
    measured = [
        (readout(kspace[:, n, ::-1], flags=REVERSE, kspace_encode_step_1=n, center_sample=NX // 2))
        if turned[n % len(turned)]
        else readout(kspace[:, n], kspace_encode_step_1=n, center_sample=NX // 2)
        for n in range(NY)
    ]
    for acquisition in measured:
        acquisition.data[:, :3] = acquisition.data[:, -1:] = 99
    scan = read(write_file(tmp_path / "p.h5", header((NY, NX), parameters={"PilotTone": 1}), measured))
    assert scan.n_samples == NX - (4 if len(turned) == 1 else 6)
    close(scan.kspace[0], exact_kspace(IMAGE, scan.trajectory[0].astype(np.float64)))


def test_without_a_pilot_tone_no_sample_is_dropped(tmp_path):
    document = header((NY, NX), parameters={"PilotTone": 0, "other": 1})
    close(fft_image(read(write_file(tmp_path / "p.h5", document, lines(fft(IMAGE))))), IMAGE)


@pytest.mark.parametrize(
    ("unit", "name"), [((1, 1), "per pixel"), ((2 * np.pi,) * 2, "radians"), ((24, 32), "field of view")]
)
def test_trajectories_are_understood_in_each_of_three_units(tmp_path, unit, name):
    radius, angle = (np.arange(64) - 32) / 64, np.arange(5) * 1.94
    k = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], -1)[:, None]  # ky, kx in cycles per pixel
    stored = (k * unit)[..., ::-1]
    data = random_complex(COILS, 5, 64)
    spokes = [readout(data[:, i], stored[i], phase=i // 2) for i in range(4)]
    scan = read(write_file(tmp_path / "u.h5", header((24, 32), kind="radial"), spokes))
    np.testing.assert_allclose(scan.trajectory[0], k[:4], atol=1e-6)
    np.testing.assert_array_equal(scan.kspace[0], data[:, :4])
    assert any(name in note for note in scan.notes)
    assert scan.frame.tolist() == [[0, 0, 1, 1]]
