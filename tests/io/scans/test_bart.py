"""BART's files, written by hand or by BART: samples, positions and frames are found again; bad files are refused."""

import shutil
import subprocess
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dainr.errors import BadScan
from dainr.io import scan_sha256
from dainr.io.scans.formats import read
from tests.io import centred_fft, exact_kspace, fft_image, random_complex

NX, NY, COILS, FRAMES = 12, 10, 3, 4
with_bart = pytest.mark.skipif(shutil.which("bart") is None, reason="bart is not installed")


@pytest.fixture(autouse=True)
def checks_as_users_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong shapes must be refused by the program's own checks; the annotations are only checked in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def write(path: Path, array: np.ndarray) -> Path:
    """An array whose axes are BART's, the first fastest; not by the function under test."""
    sizes = " ".join(str(n) for n in (*array.shape, *[1] * (16 - array.ndim)))
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{sizes}\n# Command\nnone\n")
    path.with_suffix(".cfl").write_bytes(array.astype(np.complex64).tobytes(order="F"))
    return path.with_suffix(".cfl")


def spread(array: np.ndarray, *axes: int) -> np.ndarray:
    """The axes of an array moved to these numbers of BART's."""
    sizes = [1] * (max(axes) + 1)
    for axis, size in zip(axes, array.shape, strict=True):
        sizes[axis] = size
    return array.reshape(sizes)


def series() -> np.ndarray:
    """Coil images `frame coil y x`."""
    return random_complex(FRAMES, COILS, NY, NX)


def undersampled() -> np.ndarray:
    """Cartesian k-space `x y coil frame`, three lines a frame; the first two columns were not measured."""
    k = centred_fft(series()).transpose(3, 2, 1, 0).copy()
    for frame in range(FRAMES):
        k[:, [y for y in range(NY) if y % 4 != frame % 4], :, frame] = 0
    k[:2] = 0
    return k


def spokes() -> tuple[np.ndarray, np.ndarray]:
    """Samples `sample spoke coil frame` of the series, and where: `component sample spoke frame`, cycles per FOV."""
    angle = np.arange(FRAMES * 5).reshape(FRAMES, 5) * 1.9
    radius = (np.arange(2 * NX) - NX) / 2
    points = np.zeros((3, 2 * NX, 5, FRAMES))
    points[0], points[1] = (radius[:, None, None] * f(angle).T for f in (np.cos, np.sin))
    in_pixels = np.stack([points[1] / NX, points[0] / NX], -1)  # sample spoke frame 2
    images = random_complex(FRAMES, COILS, NX, NX)
    k = [exact_kspace(images[f], in_pixels[:, :, f].transpose(1, 0, 2)) for f in range(FRAMES)]
    return np.stack(k, -1).transpose(2, 1, 0, 3), points


def write_radial(folder: Path, k: np.ndarray, points: np.ndarray, names: tuple[str, str] = ("ksp", "traj")) -> Path:
    write(folder / names[1], spread(points, 0, 1, 2, 10))
    return write(folder / names[0], spread(k, 1, 2, 3, 10))


@pytest.mark.parametrize("suffix", [".cfl", ".hdr"])
def test_measured_lines_are_found_on_the_grid(suffix: str, tmp_path: Path) -> None:
    scan = read(write(tmp_path / "scan", spread(undersampled(), 0, 1, 3, 10)).with_suffix(suffix))
    assert (scan.matrix, scan.n_coils, scan.n_frames, scan.n_samples) == ((NY, NX), COILS, FRAMES, NX - 2)
    assert scan.is_cartesian
    assert scan.readouts_per_frame.tolist() == [[3, 3, 2, 2]] * scan.n_slices
    for frame, images in enumerate(series()):
        mine = scan.frame[0] == frame
        expected = exact_kspace(images, scan.trajectory[0][mine])
        np.testing.assert_allclose(scan.kspace[0][:, mine], expected, atol=1e-4)


def test_lines_may_lie_along_the_second_axis(tmp_path: Path) -> None:
    there = read(write(tmp_path / "there", spread(undersampled(), 0, 1, 3, 10)))
    turned = read(write(tmp_path / "turned", spread(undersampled().swapaxes(0, 1), 0, 1, 3, 10)))
    assert turned.matrix == there.matrix[::-1]
    np.testing.assert_array_equal(turned.kspace, there.kspace)
    np.testing.assert_array_equal(turned.trajectory, there.trajectory[..., ::-1])


def test_slices_and_maps_come_along(tmp_path: Path) -> None:
    both = np.stack([undersampled(), 2 * undersampled()], -1)
    maps = random_complex(NX, NY, COILS, 2, seed=3)
    write(tmp_path / "a_sens", spread(maps, 0, 1, 3, 13))
    scan = read(write(tmp_path / "a", spread(both, 0, 1, 3, 10, 13)))
    np.testing.assert_allclose(scan.kspace[1], 2 * scan.kspace[0])
    assert scan.coil_maps is not None
    np.testing.assert_array_equal(scan.coil_maps, maps.transpose(3, 2, 1, 0))
    assert "coil maps from a_sens.cfl" in scan.notes


@pytest.mark.parametrize("names", [("ksp", "traj"), ("scan", "scan_traj"), ("kspace_7", "trajectory_7")])
def test_spokes_stand_where_the_trajectory_beside_them_says(names: tuple[str, str], tmp_path: Path) -> None:
    k, points = spokes()
    scan = read(write_radial(tmp_path, k, points, names))
    assert (scan.matrix, scan.n_frames, scan.n_readouts) == ((NX, NX), FRAMES, 5 * FRAMES)
    assert not scan.is_cartesian
    for frame, images in enumerate(random_complex(FRAMES, COILS, NX, NX)):
        mine = scan.frame[0] == frame
        np.testing.assert_allclose(scan.kspace[0][:, mine], exact_kspace(images, scan.trajectory[0][mine]), atol=1e-3)


def test_one_trajectory_may_serve_every_frame(tmp_path: Path) -> None:
    k, points = spokes()
    scan = read(write_radial(tmp_path, k, points[..., :1]))
    np.testing.assert_array_equal(scan.trajectory[0][:5], scan.trajectory[0][5:10])


def test_spokes_in_one_frame_wait_to_be_binned(tmp_path: Path) -> None:
    k, points = spokes()
    scan = read(write_radial(tmp_path, k[..., :1], points[..., :1]))
    assert scan.frame is None
    assert (np.diff(scan.times[0]) > 0).all()


@with_bart
def test_an_image_of_bart_is_found_where_bart_has_it(tmp_path: Path) -> None:
    for command in ("phantom -x 16 -s 3 image", "fft -u 3 image ksp"):
        subprocess.run(["bart", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    image = np.fromfile(tmp_path / "image.cfl", np.complex64).reshape(3, 16, 16)  # coil y x: the first axis is x
    found = fft_image(read(tmp_path / "ksp.cfl"))
    np.testing.assert_allclose(found, image, atol=1e-5 * np.abs(image).max())


@with_bart
def test_spokes_of_bart_are_transformed_as_bart_does(tmp_path: Path) -> None:
    commands = ("traj -x 32 -y 7 -r -G traj", "phantom -x 32 -s 2 image", "nufft traj image ksp")
    for command in commands:
        subprocess.run(["bart", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    image = np.fromfile(tmp_path / "image.cfl", np.complex64).reshape(2, 32, 32)
    scan = read(tmp_path / "ksp.cfl")
    expected = exact_kspace(image, scan.trajectory[0])
    assert np.linalg.norm(scan.kspace[0] - expected) < 0.02 * np.linalg.norm(expected)  # its gridding is coarse


def bad(kind: str, folder: Path) -> Path:
    k, points = undersampled(), spokes()[1]
    if kind == "another axis":
        return write(folder / "scan", spread(np.stack([k, k], -1), 0, 1, 3, 10, 5))
    if kind == "an empty frame":
        k[..., 1] = 0
    elif kind == "zeros":
        k[:] = 0
    elif kind == "other maps":
        write(folder / "scan_sens", spread(random_complex(NX, NY, 2), 0, 1, 3))
    elif kind == "unpaired trajectory":
        write(folder / "scan_traj", spread(points[:, :5], 0, 1, 2, 10))
        return write(folder / "scan", spread(spokes()[0], 1, 2, 3, 10))
    elif kind in ("out of the plane", "cycles per pixel"):
        points[2 if kind == "out of the plane" else slice(0, 2)] *= 0.01
        points[2] += kind == "out of the plane"
        return write_radial(folder, spokes()[0], points)
    path = write(folder / "scan", spread(k, 0, 1, 3, 10))
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    elif kind == "no data":
        path.unlink()
        return path.with_suffix(".hdr")
    elif kind == "no sizes":
        path.with_suffix(".hdr").write_text("# Dimensions\nmany\n")
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("another axis", "its axis 5 has 2 entries"),
        ("an empty frame", "its frame 1 holds nothing but zeros"),
        ("zeros", "nothing but zeros"),
        ("other maps", "its coil maps are"),
        ("unpaired trajectory", "its trajectory has sizes"),
        ("out of the plane", "leaves the plane"),
        ("cycles per pixel", "give k in cycles per field of view"),
        ("truncated", "bytes where its header asks for"),
        ("no data", "it has nothing where its header asks for"),
        ("no sizes", "does not list the sizes"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(kind: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadScan, match=words):
        read(bad(kind, tmp_path))


def test_a_cfl_without_its_header_is_of_no_format(tmp_path: Path) -> None:
    path = write(tmp_path / "scan", np.ones((2, 2)))
    path.with_suffix(".hdr").unlink()
    with pytest.raises(BadScan, match="no format dainr reads"):
        read(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.text(st.characters(codec="utf-8"), max_size=60), data=st.binary(max_size=64))
def test_any_header_is_read_or_refused_and_nothing_else(sizes: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "scan.hdr").write_text(f"# Dimensions\n{sizes}\n", encoding="utf-8")
    (tmp_path / "scan.cfl").write_bytes(data)
    with pytest.raises(BadScan):
        read(tmp_path / "scan.cfl")


@pytest.mark.parametrize("changed", ["scan.hdr", "scan.cfl", "scan_traj.cfl", "scan_traj.hdr", "scan_sens.cfl"])
def test_the_checksum_is_of_all_files_of_a_scan(tmp_path: Path, changed: str) -> None:
    for name in ("scan", "scan_traj", "scan_sens", "other"):
        write(tmp_path / f"{name}.cfl", np.ones((2, 3)))
    named = tmp_path / "scan.cfl"
    before = scan_sha256(named)
    assert scan_sha256(named.with_suffix(".hdr")) == before
    (tmp_path / "other.cfl").write_bytes(b"something else")
    assert scan_sha256(named) == before
    (tmp_path / changed).write_bytes((tmp_path / changed).read_bytes() + b"\n# Command\n")
    assert scan_sha256(named) != before
