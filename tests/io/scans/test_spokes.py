"""Spokes without a stored trajectory are placed by a named scheme; units that files leave open can be said."""

from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from dainr.assess.describe import describe
from dainr.errors import BadRequest, BadScan
from dainr.io import ReadOptions
from dainr.io.scans.formats import read
from dainr.io.scans.spokes import angle_step
from dainr.scan import Scan
from dainr.simulate.sampling import GOLDEN_ANGLE, radial
from tests.io import exact_kspace, header, lines, random_complex, readout, write_file

N, OVERSAMPLED, SPOKES = 16, 32, 21
IMAGE = random_complex(2, N, N, seed=4)
FOV = (160.0, 160.0)


def said(path: Path, **options: object) -> Scan:
    return read(path, ReadOptions.parsed(options))


def head(kind: str = "goldenangle", oversampled: bool = True) -> str:
    encoded = (N, OVERSAMPLED) if oversampled else (N, N)
    return header(encoded, (N, N), (160.0, 320.0 if oversampled else 160.0), FOV, kind=kind)


def spokes_of(angles: np.ndarray, reverse: bool = False) -> np.ndarray:
    """The trajectory of readouts, twice oversampled."""
    radius = (np.arange(OVERSAMPLED) - OVERSAMPLED // 2) / OVERSAMPLED
    direction = np.stack([np.sin(angles), np.cos(angles)], -1)
    return (-radius if reverse else radius)[None, :, None] * direction[:, None]


def file_of(path: Path, angles: np.ndarray, document: str | None = None, **fields: object) -> Path:
    """Spokes at these angles, numbered, without a word on where they lie."""
    data = exact_kspace(IMAGE, spokes_of(angles))
    made = [
        readout(data[:, n], kspace_encode_step_1=n, stamp=n, **{"center_sample": OVERSAMPLED // 2, **fields})
        for n in range(len(angles))
    ]
    return write_file(path, document or head(), made)


def close_to_object(scan: Scan) -> None:
    np.testing.assert_allclose(scan.kspace[0], exact_kspace(IMAGE, scan.trajectory[0]), atol=2e-4)


def test_golden_angles_are_those_of_the_literature_and_of_the_simulations() -> None:
    assert angle_step("golden", 1) == pytest.approx(GOLDEN_ANGLE)
    degrees = [np.degrees(angle_step(f"tiny-golden:{n}", 1)) for n in (1, 2, 3, 7)]
    np.testing.assert_allclose(degrees, [111.246, 68.754, 49.751, 23.628], atol=1e-3)
    assert np.degrees(angle_step("linear", 18)) == pytest.approx(10)
    assert np.degrees(angle_step("linear:360", 18)) == pytest.approx(20)


@pytest.mark.parametrize(
    ("scheme", "angles"),
    [
        ("golden", np.arange(SPOKES) * GOLDEN_ANGLE),
        ("tiny-golden:7", np.arange(SPOKES) * np.radians(23.62814)),
        ("linear", np.arange(SPOKES) * np.pi / SPOKES),
        ("linear:360", np.arange(SPOKES) * 2 * np.pi / SPOKES),
    ],
)
@pytest.mark.parametrize("oversampled", [True, False], ids=["told", "undeclared"])
def test_spokes_lie_where_the_scheme_says(tmp_path: Path, scheme: str, angles: np.ndarray, oversampled: bool) -> None:
    path = file_of(tmp_path / "a.h5", angles, head("radial", oversampled))
    scan = said(path, trajectory=scheme)
    assert (scan.matrix, scan.fov_mm) == ((N, N), FOV)
    np.testing.assert_allclose(scan.trajectory[0], spokes_of(angles), atol=1e-5)
    close_to_object(scan)
    assert describe(scan)["trajectory_made"] == scheme
    assert any(f"trajectory made of {scheme} spokes by their line numbers" in note for note in scan.notes)


def test_they_are_those_that_simulations_measure(tmp_path: Path) -> None:
    expected, _ = radial(1, SPOKES, (N, N))
    scan = said(file_of(tmp_path / "a.h5", np.arange(SPOKES) * GOLDEN_ANGLE), trajectory="golden")
    np.testing.assert_allclose(scan.trajectory[0], expected, atol=1e-5)


def test_lines_numbered_anew_in_every_frame_go_by_time(tmp_path: Path) -> None:
    angles = np.arange(SPOKES) * GOLDEN_ANGLE
    data = exact_kspace(IMAGE, spokes_of(angles))
    made = [readout(data[:, n], kspace_encode_step_1=n % 7, phase=n // 7, stamp=n) for n in range(SPOKES)]
    scan = said(write_file(tmp_path / "a.h5", head(), made[::-1]), trajectory="golden")
    assert scan.n_frames == 3
    close_to_object(scan)
    assert describe(scan)["spokes_numbered_by"] == "order of time"


def test_linear_spokes_of_every_frame_are_a_set(tmp_path: Path) -> None:
    angles = np.tile(np.arange(7) * np.pi / 7, 3)
    data = exact_kspace(IMAGE, spokes_of(angles))
    made = [readout(data[:, n], kspace_encode_step_1=n % 7, phase=n // 7, stamp=n) for n in range(21)]
    close_to_object(said(write_file(tmp_path / "a.h5", head(), made), trajectory="linear"))
    with pytest.raises(BadRequest, match="no line numbers"):
        said(
            write_file(tmp_path / "b.h5", head(), [readout(data[:, n], stamp=n) for n in range(7)]), trajectory="linear"
        )


def test_reversed_readouts_and_early_echoes_are_placed_right(tmp_path: Path) -> None:
    angles = np.arange(SPOKES) * GOLDEN_ANGLE
    made = []
    for n, angle in enumerate(angles):
        back = bool(n % 2)
        data = exact_kspace(IMAGE, spokes_of(angle[None], back))[:, 0]
        flags = (ismrmrd.ACQ_IS_REVERSE,) if back else ()
        made.append(readout(data, kspace_encode_step_1=n, stamp=n, center_sample=OVERSAMPLED // 2, flags=flags))
    close_to_object(said(write_file(tmp_path / "a.h5", head(), made), trajectory="golden"))
    data = exact_kspace(IMAGE, spokes_of(angles))[..., 8:]
    early = [readout(data[:, n], kspace_encode_step_1=n, stamp=n, center_sample=8) for n in range(SPOKES)]
    close_to_object(said(write_file(tmp_path / "b.h5", head(), early), trajectory="golden"))


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("goldenangle", "say --trajectory golden"),
        ("radial", "golden, tiny-golden:N or linear"),
        ("spiral", "export it"),
    ],
)
def test_without_a_scheme_the_refusal_names_the_way_on(tmp_path: Path, kind: str, way: str) -> None:
    path = file_of(tmp_path / "a.h5", np.arange(SPOKES) * GOLDEN_ANGLE, head(kind))
    with pytest.raises(BadScan, match=way):
        read(path)


def test_a_header_that_says_cartesian_is_overruled(tmp_path: Path) -> None:
    path = file_of(tmp_path / "a.h5", np.arange(SPOKES) * GOLDEN_ANGLE, head("cartesian"))
    scan = said(path, trajectory="golden")
    assert scan.matrix == (N, N)
    close_to_object(scan)


def test_readouts_of_another_length_than_the_header_tells_are_refused(tmp_path: Path) -> None:
    made = [readout(random_complex(2, 40), kspace_encode_step_1=n) for n in range(5)]
    with pytest.raises(BadScan, match="40 samples where its header tells 32"):
        said(write_file(tmp_path / "a.h5", head(), made), trajectory="golden")


def test_samples_to_be_discarded_are_none_that_the_header_counts(tmp_path: Path) -> None:
    data = exact_kspace(IMAGE, spokes_of(np.arange(5) * GOLDEN_ANGLE))
    made = []
    for n in range(5):
        padded = np.pad(data[:, n], [(0, 0), (6, 2)], constant_values=50)
        made.append(readout(padded, kspace_encode_step_1=n, stamp=n, discard_pre=6, discard_post=2))
    close_to_object(said(write_file(tmp_path / "a.h5", head(), made), trajectory="golden"))


# ---- units


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("cycles", 1.0),
        ("radians", 2 * np.pi),
        ("fov", N),
        ("normalized", 2.0),
        ("1/m", 100.0),
        ("rad/m", 200 * np.pi),
        ("1/mm", 0.1),
        ("encoded-fov", N),
    ],
)
def test_the_unit_of_a_trajectory_can_be_said(tmp_path: Path, unit: str, factor: float) -> None:
    """Of samples that end half way to the edge no unit is certain."""
    k = 0.5 * spokes_of(np.arange(5) * GOLDEN_ANGLE)
    stored = (factor * k[..., ::-1]).astype(np.float32)
    made = [readout(random_complex(2, OVERSAMPLED, seed=n), stored[n], stamp=n) for n in range(5)]
    document = header((N, N), (N, N), FOV, FOV, kind="radial")
    scan = said(write_file(tmp_path / "a.h5", document, made), trajectory_unit=unit)
    np.testing.assert_allclose(scan.trajectory[0], k, atol=1e-5)
    assert any("as was said" in note for note in scan.notes)


@pytest.mark.parametrize(("unit", "seconds"), [("2.5ms", 2.5e-3), ("ms", 1e-3), ("us", 1e-6), ("10us", 1e-5)])
def test_the_unit_of_time_stamps_can_be_said(tmp_path: Path, unit: str, seconds: float) -> None:
    data = random_complex(2, N, N)
    made = lines(data, stamp=5) + lines(data, stamp=105, phase=1)
    path = write_file(tmp_path / "a.h5", header((N, N), fov=FOV, tr_ms=3.0), made)
    scan = said(path, time_unit=unit)
    assert np.ptp(scan.times) == pytest.approx(100 * seconds)
    assert describe(scan)["time_unit_certain"] is True


@pytest.mark.parametrize(
    "given",
    [
        {"trajectory": "spiral"},
        {"trajectory": "tiny-golden"},
        {"trajectory": "tiny-golden:0"},
        {"trajectory": "linear:90"},
        {"trajectory_unit": "feet"},
        {"time_unit": "hours"},
        {"trajectory": "golden", "trajectory_unit": "cycles"},
    ],
)
def test_what_is_none_of_them_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        ReadOptions.parsed(given)
