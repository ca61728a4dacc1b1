"""ISMRMRD files that say less, or other, than the truth: read right and said, or refused.

The object lies off the centre, with one brighter spot, so that a flip, a shift or a squeeze of it shows.
"""

import re
from itertools import product

import ismrmrd
import numpy as np
import pytest

from dainr.assess.describe import describe
from dainr.errors import BadScan
from dainr.io.scans.formats import WRITERS, read
from dainr.prepare.frames import frames_as_stored
from dainr.prepare.prepared import PrepareConfig
from dainr.prepare.resize import resize_matrix
from dainr.prepare.steps import prepare_slice
from tests.io import centred_fft as fft
from tests.io import exact_kspace, fft_image, header, lines, random_complex, readout, write_file

CALIBRATION, BOTH = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING
FEEDBACK = ismrmrd.ACQ_IS_RTFEEDBACK_DATA
NY, NX = 24, 32
PIXEL = 10.0


def heart(ny=NY, nx=NX, wide=1, coils=2, seed=0):
    """Coil images `coil y x` of the object in the middle of `wide` fields of view along x, with a little noise."""
    y, x = np.mgrid[:ny, : wide * nx]
    y, x = (y - ny // 2) / ny, (x - wide * nx // 2) / nx
    image = np.where((np.abs(y + 0.1) < 0.17) & (np.abs(x + 0.07) < 0.2), 1.0, 0.0)
    image = image + np.where((np.abs(y - 0.25) < 0.08) & (np.abs(x - 0.22) < 0.08), 2.0, 0.0)
    maps = np.stack([np.exp(-((x - c) ** 2 + (y + c) ** 2) + 1j * c) for c in np.linspace(-0.5, 0.5, coils)])
    return image * maps + 1e-3 * random_complex(coils, ny, wide * nx, seed=seed)


def close(found, expected, tolerance=1e-4):
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


def sizes(matrix, pixel=PIXEL):
    return tuple(pixel * n for n in matrix)


def lines_of(image, head=None, **fields):
    """Lines of coil images, their echo in the middle and told."""
    return lines(fft(image), center_sample=image.shape[-1] // 2, **fields)


def middle(image, n):
    start = image.shape[-1] // 2 - n // 2
    return image[..., start : start + n]


def refused(path, *words):
    with pytest.raises(BadScan) as error:
        read(path)
    for word in words:
        assert word in str(error.value)


# ---- readouts


@pytest.mark.parametrize(("factor", "nx", "recon"), [(2, 32, 32), (4, 32, 32), (2, 15, 15), (3, 21, 21), (2, 32, 64)])
def test_readouts_oversampled_beyond_the_header_are_cropped_and_said(tmp_path, factor, nx, recon):
    image = heart(nx=nx, wide=factor)
    document = header((NY, nx), (NY, recon) if recon == nx else (2 * NY, recon), sizes((NY, nx)))
    scan = read(write_file(tmp_path / "o.h5", document, lines_of(image)))
    assert scan.n_samples == nx * recon // recon
    assert any(f"{factor} times oversampled" in note for note in scan.notes)
    assert describe(scan)["undeclared_oversampling"] == factor
    close(scan.kspace[0], exact_kspace(middle(image, nx), scan.trajectory[0] * np.array(scan.matrix) / [NY, nx]), 1e-3)


def test_a_matrix_that_forgets_the_oversampling_of_its_field_of_view_is_seen(tmp_path):
    image = heart(wide=2)
    document = header((NY, NX), (NY, NX), sizes((NY, 2 * NX)), sizes((NY, NX)))
    close(fft_image(read(write_file(tmp_path / "o.h5", document, lines_of(image)))), middle(image, NX), 1e-3)


def test_a_field_of_view_that_forgets_the_oversampling_of_its_matrix_is_seen(tmp_path):
    image = heart(wide=2)
    document = header((NY, 2 * NX), (NY, NX), sizes((NY, NX)))
    scan = read(write_file(tmp_path / "o.h5", document, lines_of(image)))
    assert scan.decided["undeclared_oversampling"] == 2
    close(fft_image(scan), middle(image, NX), 1e-2)


@pytest.mark.parametrize(("samples", "centre"), [(48, 24), (64, 24), (40, 20)])
def test_longer_readouts_that_are_no_multiple_about_their_echo_are_refused(tmp_path, samples, centre):
    acquisitions = lines(random_complex(2, NY, samples), center_sample=centre)
    refused(write_file(tmp_path / "o.h5", header((NY, NX), fov=sizes((NY, NX))), acquisitions), "matrixSize")


@pytest.mark.parametrize("count", [5, NY])
def test_a_stray_readout_of_another_length_is_set_aside(tmp_path, count):
    image = heart()
    stray = readout(random_complex(2, NX + 7), kspace_encode_step_1=3)
    scan = read(write_file(tmp_path / "s.h5", header((NY, NX), fov=sizes((NY, NX))), [*lines_of(image)[:count], stray]))
    assert scan.n_readouts == count
    assert scan.decided["readouts_of_another_size"] == 1
    assert any("2 x 39, not 2 x 32" in note for note in scan.notes)


# ---- flags


@pytest.mark.parametrize("other", [(CALIBRATION,), (FEEDBACK,), (ismrmrd.ACQ_IS_NAVIGATION_DATA, CALIBRATION)])
def test_calibration_lines_that_are_image_lines_too_are_image_lines(tmp_path, other):
    image = heart()
    acquisitions = lines_of(image)
    for acquisition in acquisitions[8:16]:
        for flag in (*other, BOTH):
            acquisition.set_flag(flag)
    close(fft_image(read(write_file(tmp_path / "b.h5", header((NY, NX), fov=sizes((NY, NX))), acquisitions))), image)


def test_a_feedback_flag_on_every_line_means_nothing(tmp_path):
    image = heart()
    acquisitions = lines_of(image, flags=(FEEDBACK,))
    acquisitions[12].set_flag(BOTH)
    noise = readout(random_complex(2, 50), flags=(ismrmrd.ACQ_IS_NOISE_MEASUREMENT,))
    scan = read(write_file(tmp_path / "f.h5", header((NY, NX), fov=sizes((NY, NX))), [noise, *acquisitions]))
    close(fft_image(scan), image)
    assert scan.decided["feedback_flag_ignored"]


def test_feedback_beside_image_lines_is_skipped(tmp_path):
    image = heart()
    extra = lines(fft(heart(seed=3)), flags=(FEEDBACK,))
    scan = read(write_file(tmp_path / "f.h5", header((NY, NX), fov=sizes((NY, NX))), [*extra, *lines_of(image)]))
    close(fft_image(scan), image)
    assert f"{NY} feedback readouts skipped" in scan.notes


def calibrated(path, sparse, extra, slices=1):
    """Frames of some lines, and others of the same object flagged as calibration alone."""
    kspace = fft(heart(wide=2, coils=4))
    noise = readout(1e-3 * random_complex(4, 4000), flags=(ismrmrd.ACQ_IS_NOISE_MEASUREMENT,))
    acquisitions = [
        readout(
            kspace[:, line],
            kspace_encode_step_1=line,
            phase=p,
            slice=s,
            stamp=40 * p + n,
            center_sample=NX,
            flags=(CALIBRATION,) if line in extra else (),
        )
        for s, p in product(range(slices), range(3))
        for n, line in enumerate([*sparse, *extra])
    ]
    document = header((NY, 2 * NX), (NY, NX), sizes((NY, 2 * NX)), sizes((NY, NX)))
    return write_file(path, document, [noise, *acquisitions])


def test_calibration_lines_make_coil_maps_and_no_image(tmp_path):
    sparse = [0, 6, 12, 18]
    extra = [line for line in range(7, 19) if line not in sparse]
    scan = read(calibrated(tmp_path / "c.h5", sparse, extra, slices=2))
    assert scan.readouts_per_frame.tolist() == [[4, 4, 4]] * 2
    assert describe(scan)["calibration_readouts"] == 2 * 3 * len(extra)
    assert any("coil maps are estimated from them, and nothing else" in note for note in scan.notes)
    image = middle(heart(wide=2, coils=4), NX)
    calibration, places = scan.calibration[1], scan.calibration_trajectory[1]
    close(calibration, exact_kspace(image, places.astype(np.float64)), 1e-3)
    fitted = prepare_slice(frames_as_stored(scan), 1, PrepareConfig(coil_loss=0.0), 0)
    assert "calibration readouts" in fitted.record["coil_maps"]
    assert fitted.kspace.shape[1] == 12
    signal = np.abs(image).sum(0) > 0.3 * np.abs(image).sum(0).max()
    truth = image / np.linalg.norm(image, axis=0)  # the noise is white
    agreement = np.abs((fitted.coil_maps.conj() * truth).sum(0))[signal]
    assert agreement.min() > 0.99


def test_calibration_is_kept_by_every_format_and_choice_of_slices_and_matrix(tmp_path):
    scan = read(calibrated(tmp_path / "c.h5", [0, 6, 12, 18], range(7, 12), slices=2))
    assert scan.calibration is None  # too few lines
    assert any("calibration readouts skipped" in note for note in scan.notes)
    scan = read(calibrated(tmp_path / "d.h5", [0, 6], range(7, 17), slices=2))
    for name, write in WRITERS.items():
        write(scan, tmp_path / f"{name}.h5")
        again = read(tmp_path / f"{name}.h5")
        np.testing.assert_array_equal(again.calibration, scan.calibration)
        np.testing.assert_allclose(again.calibration_trajectory, scan.calibration_trajectory, atol=1e-7)
    one = scan.select_slices([1])
    np.testing.assert_array_equal(one.calibration, scan.calibration[1:])
    small = resize_matrix(scan, (NY // 2, NX // 2))
    assert np.abs(small.calibration_trajectory).max() <= 0.5
    assert 0 < small.calibration.shape[2] <= scan.calibration.shape[2]
    assert small.calibration.shape[3] == NX // 2


# ---- the header


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("63870000", "63870000.0"),
        (">cartesian<", ">Cartesian<"),
        (
            "<encoding>",
            "<subjectInformation><patientBirthdate>19700230</patientBirthdate></subjectInformation><encoding>",
        ),
        ("<encoding>", "<unheardOf><of>1</of></unheardOf><encoding>"),
        (f"<x>{NX}</x>", f"<x>{NX}.0</x>"),
        ("<experimentalConditions>.*</experimentalConditions>", ""),
    ],
)
def test_a_header_that_is_not_as_the_format_has_it_is_read_and_that_is_said(tmp_path, before, after):
    image = heart()
    plain = header((NY, NX), fov=sizes((NY, NX)))
    document = re.sub(before, after, plain.decode() if isinstance(plain, bytes) else plain, flags=re.DOTALL)
    scan = read(write_file(tmp_path / "h.h5", document, lines_of(image)))
    close(fft_image(scan), image)
    assert any("not as the format has it" in note for note in scan.notes)
    assert scan.decided["odd_header"]


def test_lines_of_an_epi_are_lines(tmp_path):
    image = heart()
    scan = read(write_file(tmp_path / "e.h5", header((NY, NX), fov=sizes((NY, NX)), kind="epi"), lines_of(image)))
    close(fft_image(scan), image)
    assert any("epi" in note for note in scan.notes)


def test_an_epi_sampled_on_ramps_is_refused(tmp_path):
    document = header((NY, NX), fov=sizes((NY, NX)), kind="epi")
    document = document.decode() if isinstance(document, bytes) else document
    told = "".join(
        f"<userParameterLong><name>{name}</name><value>{value}</value></userParameterLong>"
        for name, value in (("flatTopTime", 400), ("numSamples", 256))
    )
    dwell = "<userParameterDouble><name>dwellTime</name><value>2.0</value></userParameterDouble>"
    told = f"<trajectoryDescription><identifier>x</identifier>{told}{dwell}</trajectoryDescription></encoding>"
    document = document.replace("</encoding>", told)
    refused(write_file(tmp_path / "e.h5", document, lines_of(heart())), "ramps")


@pytest.mark.parametrize("metres", list(product((False, True), repeat=2)))
def test_a_field_of_view_in_metres_is_read_as_such(tmp_path, metres):
    image = heart(wide=2)
    fovs = [(240.0, 640.0), (240.0, 320.0)]
    fovs = [tuple(f / 1000 for f in fov) if m else fov for m, fov in zip(metres, fovs, strict=True)]
    document = header((NY, 2 * NX), (NY, NX), *fovs, thickness=0.008 if metres[1] else 8.0)
    scan = read(write_file(tmp_path / "m.h5", document, lines_of(image)))
    assert scan.fov_mm == pytest.approx((240, 320))
    assert scan.slice_thickness_mm == pytest.approx(8)
    thin = write_file(tmp_path / "t.h5", header((NY, NX), fov=sizes((NY, NX)), thickness=0.006), lines_of(heart()))
    assert read(thin).slice_thickness_mm == pytest.approx(6)
    assert any("read in metres" in note for note in scan.notes) == any(metres)
    close(fft_image(scan), middle(image, NX), 1e-3)


@pytest.mark.parametrize("fov", [(1.0, 1.2), (2400.0, 3200.0), (0.0024, 0.0032), (240.0, 3200.0)])
def test_pixels_that_no_scanner_measures_are_refused(tmp_path, fov):
    refused(write_file(tmp_path / "p.h5", header((NY, NX), fov=fov), lines_of(heart())), "fieldOfView_mm")


# ---- the k-space centre


@pytest.mark.parametrize(("ny", "share"), [(32, 5 / 8), (32, 3 / 4), (32, 7 / 8), (45, 0.7), (64, 6 / 8)])
@pytest.mark.parametrize("told", ["middle", "nothing", "siemens"])
def test_a_wrong_central_line_is_found_out(tmp_path, ny, share, told):
    image = heart(ny=ny)
    first = ny - round(share * ny)
    kspace = fft(image)[:, first:]
    acquisitions = lines(kspace, center_sample=NX // 2)
    for acquisition in acquisitions:
        acquisition.idx.user[5] = ny // 2 - first if told == "siemens" else 0
    document = header((ny, NX), fov=sizes((ny, NX)), centre_line=None if told == "nothing" else ny // 2)
    scan = read(write_file(tmp_path / "c.h5", document, acquisitions))
    np.testing.assert_allclose(scan.trajectory[0, :, 0, 0], (np.arange(ny - first) + first - ny // 2) / ny, atol=1e-6)
    assert describe(scan)["centre_line"] == ny // 2 - first
    assert any("k-space centre is taken at line" in note for note in scan.notes)


@pytest.mark.parametrize(("number", "believed"), [(3, True), (9, False), (0, False)])
def test_the_number_of_a_siemens_conversion_decides_where_energy_alone_does_not(tmp_path, number, believed):
    kspace = fft(heart(ny=8))[:, 1:]  # too few lines to have a peak
    acquisitions = lines(kspace, center_sample=NX // 2)
    for acquisition in acquisitions:
        acquisition.idx.user[5] = number
    document = header((8, NX), fov=sizes((8, NX)), centre_line=3 if number == 9 else 5)
    scan = read(write_file(tmp_path / "c.h5", document, acquisitions))
    assert (scan.decided.get("centre_line") == number) == believed


@pytest.mark.parametrize("phase", [0.0, 0.4, 1.0])
def test_a_right_central_line_is_believed(tmp_path, phase):
    turns = np.exp(2j * np.pi * phase * np.arange(NY) / NY)[:, None]  # the strongest line is then one beside it
    image = heart() * turns
    document = header((NY, NX), fov=sizes((NY, NX)), centre_line=NY // 2 - 6)
    scan = read(write_file(tmp_path / "c.h5", document, lines(fft(image)[:, 6:], center_sample=NX // 2)))
    assert "centre_line" not in scan.decided
    close(scan.kspace[0], exact_kspace(image, scan.trajectory[0].astype(np.float64)))


def with_limits(document, maximum, centre):
    document = document.decode() if isinstance(document, bytes) else document
    limits = f"<minimum>0</minimum><maximum>{maximum}</maximum><center>{centre}</center>"
    step = f"<kspace_encoding_step_1>{limits}</kspace_encoding_step_1>"
    return re.sub(
        "<encodingLimits */>|<encodingLimits>.*</encodingLimits>",
        f"<encodingLimits>{step}</encodingLimits>",
        document,
        flags=re.DOTALL,
    )


@pytest.mark.parametrize(("maximum", "centre"), [(4 * NY, NY // 2), (0, 0), (NY, NY // 2)])
def test_limits_that_do_not_matter_do_no_harm(tmp_path, maximum, centre):
    image = heart()
    document = with_limits(header((NY, NX), fov=sizes((NY, NX))), maximum, centre)
    close(fft_image(read(write_file(tmp_path / "l.h5", document, lines_of(image)))), image)


def test_lines_beyond_the_matrix_that_the_limits_tell_are_kept(tmp_path):
    ny = NY + 8
    image = heart(ny=ny)
    document = with_limits(header((NY, NX), fov=sizes((ny, NX))), ny - 1, ny // 2)
    scan = read(write_file(tmp_path / "l.h5", document, lines_of(image)))
    assert scan.matrix == (ny, NX)
    close(fft_image(scan), image)
    assert scan.decided["lines_beyond_matrix"]
    document = with_limits(header((NY, NX), fov=sizes((ny, NX))), NY - 1, ny // 2)
    refused(write_file(tmp_path / "r.h5", document, lines_of(image)), "matrixSize and encodingLimits")


def test_limits_that_nobody_filled_in_tell_no_central_line(tmp_path):
    image = random_complex(2, NY, NX)  # whose lines are all of the same energy
    document = with_limits(header((NY, NX), fov=sizes((NY, NX))), 0, 0)
    close(fft_image(read(write_file(tmp_path / "l.h5", document, lines_of(image)))), image)


# ---- time


def timed(stamps, tr_ms=3.2, **fields):
    kspace = fft(heart())
    step = np.arange(len(stamps)) % NY
    readouts = [
        readout(
            kspace[:, s], kspace_encode_step_1=s, phase=n // NY, stamp=int(t) % 2**32, center_sample=NX // 2, **fields
        )
        for n, (s, t) in enumerate(zip(step, stamps, strict=True))
    ]
    return header((NY, NX), fov=sizes((NY, NX)), tr_ms=tr_ms), readouts


@pytest.mark.parametrize(
    ("unit_s", "told"), [(2.5e-3, 1), (2.5e-3, NY), (1e-3, 1), (1e-3, NY), (1e-6, 1), (1e-6, NY), (1e-4, 1), (1e-5, 1)]
)
@pytest.mark.parametrize("tr_ms", [2.7, 3.2, 5.9, 24.0])
def test_the_unit_of_time_stamps_is_found_by_the_repetition_time(tmp_path, unit_s, tr_ms, told):
    times = np.arange(4 * NY) * tr_ms * 1e-3
    times[2 * NY :] += 1.0  # a pause
    document, acquisitions = timed(np.floor((times + 100) / unit_s), tr_ms * told)
    scan = read(write_file(tmp_path / "t.h5", document, acquisitions))
    np.testing.assert_allclose(scan.times[0], times, atol=1.01 * unit_s)
    assert describe(scan)["time_unit_certain"]


def test_microseconds_are_seen_without_a_repetition_time(tmp_path):
    document, acquisitions = timed(3200 * np.arange(2 * NY), None)
    scan = read(write_file(tmp_path / "t.h5", document, acquisitions))
    assert describe(scan)["time_unit"] == "us"
    assert scan.times.max() == pytest.approx(3.2e-3 * (2 * NY - 1))
    assert any("a repetition time would be needed" in note for note in scan.notes)


@pytest.mark.parametrize(("unit_s", "period"), [(2.5e-3, 34_560_000), (1e-3, 86_400_000), (1e-6, 2**32)])
def test_clocks_that_pass_midnight_go_on(tmp_path, unit_s, period):
    times = np.arange(2 * NY) * 3.2e-3
    stamps = (period - 40e-3 / unit_s + np.floor(times / unit_s)) % period
    document, acquisitions = timed(stamps)
    scan = read(write_file(tmp_path / "t.h5", document, acquisitions[::-1]))
    np.testing.assert_allclose(scan.times[0][::-1], times, atol=1.01 * unit_s)
    assert scan.decided["clock_started_anew"]


# ---- trajectories


def spokes(n, n_spokes=13, turn=0.0):
    """A trajectory `spoke sample 2` (ky, kx) in units of the edge of k-space."""
    r = (np.arange(n) - n // 2) / (n // 2)
    angle = turn + np.arange(n_spokes) * 1.9416
    return r[:, None] * np.stack([np.sin(angle), np.cos(angle)], -1)[:, None]


def radial_file(path, k, stored, document, extra=None):
    """A file of spokes at `k` (cycles per pixel of NY x NY), stored in other units, and the object's samples."""
    image = heart(NY, NY)
    kspace = exact_kspace(image, k)
    points = stored[..., ::-1] if extra is None else np.concatenate([stored[..., ::-1], extra[..., None]], -1)
    readouts = [readout(kspace[:, n], points[n], kspace_encode_step_1=n, stamp=n) for n in range(len(k))]
    return write_file(path, document, readouts), kspace


UNITS = {
    "cycles per pixel": 0.5,
    "radians per pixel": np.pi,
    "cycles per field of view": NY / 2,
    "half-widths of k-space": 1.0,
    "cycles per m": 1e3 / (2 * PIXEL),
    "radians per m": 1e3 * np.pi / PIXEL,
    "cycles per mm": 1 / (2 * PIXEL),
    "radians per mm": np.pi / PIXEL,
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zoom", [1, 4 / 3, 2, 0.75])
@pytest.mark.parametrize("oversampling", [1, 2])
def test_trajectories_of_the_encoded_pixels_are_read_in_every_unit(tmp_path, unit, zoom, oversampling):
    edge = spokes(2 * NY)
    recon = (round(zoom * NY),) * 2
    wide = (oversampling * NY,) * 2
    document = header(wide, recon, sizes(wide), sizes((NY, NY)), kind="radial")
    scale = UNITS[unit] * (oversampling if unit == "cycles per field of view" else 1)
    path, kspace = radial_file(tmp_path / "r.h5", 0.5 * edge, scale * edge, document)
    scan = read(path)
    n = max(NY, recon[0])
    assert scan.matrix == (n, n)
    np.testing.assert_allclose(scan.trajectory[0], 0.5 * edge * NY / n, atol=1e-5)
    np.testing.assert_allclose(scan.kspace[0], kspace, rtol=1e-5)
    assert unit.split(" ")[-1] in describe(scan)["trajectory_unit"]
    assert any("trajectory read in" in note for note in scan.notes)


@pytest.mark.parametrize("lines_told", [13, NY])
def test_a_matrix_that_counts_spokes_or_oversampled_readouts_as_pixels_does_not_mislead(tmp_path, lines_told):
    edge = spokes(2 * NY)
    document = header((lines_told, 2 * NY), (NY, NY), sizes((NY, NY)), kind="radial")
    path, _ = radial_file(tmp_path / "r.h5", 0.5 * edge, 0.5 * edge, document)
    scan = read(path)
    assert scan.matrix == (NY, NY)
    np.testing.assert_allclose(scan.trajectory[0], 0.5 * edge, atol=1e-5)


def test_a_matrix_oversampled_in_both_directions_on_the_field_of_view_of_the_image_is_seen(tmp_path):
    edge, wide = spokes(2 * NY), (2 * NY, 2 * NY)
    document = header(wide, (NY, NY), sizes((NY, NY)), kind="radial")
    path, _ = radial_file(tmp_path / "r.h5", 0.5 * edge, 0.5 * edge, document)
    scan = read(path)
    assert scan.matrix == (NY, NY)
    np.testing.assert_allclose(scan.trajectory[0], 0.5 * edge, atol=1e-5)


def test_a_trajectory_that_ends_early_is_read_in_pixels_and_called_uncertain(tmp_path):
    edge = spokes(NY)
    document = header((NY, NY), fov=sizes((NY, NY)), kind="radial")
    path, _ = radial_file(tmp_path / "r.h5", 0.3 * edge, 0.3 * edge, document)
    scan = read(path)
    np.testing.assert_allclose(scan.trajectory[0], 0.3 * edge, atol=1e-6)
    assert scan.decided["trajectory_unit_certain"] is False


def test_a_trajectory_of_no_unit_is_refused(tmp_path):
    edge = spokes(NY)
    document = header((NY, NY), fov=sizes((NY, NY)), kind="radial")
    path, _ = radial_file(tmp_path / "r.h5", 0.3 * edge, 0.7 * edge, document)
    refused(path, "0.7", "cycles per pixel")


def test_a_density_weight_beside_the_trajectory_is_left_aside(tmp_path):
    edge = spokes(2 * NY)
    document = header((NY, NY), fov=sizes((NY, NY)), kind="radial")
    weights = np.hypot(*np.moveaxis(edge, -1, 0)) * np.linspace(1, 2, len(edge))[:, None]
    path, _ = radial_file(tmp_path / "r.h5", 0.5 * edge, 0.5 * edge, document, weights)
    scan = read(path)
    np.testing.assert_allclose(scan.trajectory[0], 0.5 * edge, atol=1e-6)
    assert scan.decided["density_in_trajectory"]


@pytest.mark.parametrize("kz", ["stack", "koosh"])
def test_a_third_dimension_is_no_density_weight(tmp_path, kz):
    edge = spokes(2 * NY)
    turn = np.linspace(0, 1, len(edge))[:, None]
    third = turn * np.ones(2 * NY) if kz == "stack" else turn * np.linspace(-0.5, 0.5, 2 * NY)
    document = header((NY, NY), fov=sizes((NY, NY)), kind="radial")
    path, _ = radial_file(tmp_path / "r.h5", 0.5 * edge, 0.5 * edge, document, third)
    refused(path, "third, changing component")


@pytest.mark.parametrize("kind", ["cartesian", "radial"])
def test_a_trajectory_of_zeros_is_none(tmp_path, kind):
    image = heart()
    kspace = fft(image)
    acquisitions = [
        readout(kspace[:, n], np.zeros((NX, 2)), kspace_encode_step_1=n, center_sample=NX // 2) for n in range(NY)
    ]
    path = write_file(tmp_path / "z.h5", header((NY, NX), fov=sizes((NY, NX)), kind=kind), acquisitions)
    if kind == "radial":
        return refused(path, "a trajectory of zeros")
    scan = read(path)
    close(fft_image(scan), image)
    assert scan.decided["zero_trajectory"]


@pytest.mark.parametrize("damped", [False, True])
def test_noise_is_measured_in_the_band_that_is_left_of_the_readouts(tmp_path, damped):
    """As receivers damp the ends of the band: siemens_to_ismrmrd tells a mean of 0.793 of the middle."""
    filtered = np.where(np.abs(np.arange(4000) - 2000) < 1000, 1.0, 0.5 if damped else 1.0)
    spectrum = random_complex(2, 4000) * filtered
    noise = np.fft.ifft(np.fft.ifftshift(spectrum, axes=1), norm="ortho")
    acquisitions = [readout(noise, flags=(ismrmrd.ACQ_IS_NOISE_MEASUREMENT,)), *lines_of(heart(wide=2))]
    document = header((NY, 2 * NX), (NY, NX), sizes((NY, 2 * NX)), sizes((NY, NX)))
    scan = read(write_file(tmp_path / "n.h5", document, acquisitions))
    assert scan.noise.shape == (2, 2000)
    assert np.mean(np.abs(scan.noise) ** 2) == pytest.approx(2, rel=0.05)
    whole = read(
        write_file(tmp_path / "w.h5", header((NY, NX), fov=sizes((NY, NX))), [acquisitions[0], *lines_of(heart())])
    )
    np.testing.assert_allclose(whole.noise, noise, atol=1e-6)
