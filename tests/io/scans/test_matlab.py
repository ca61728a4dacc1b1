"""MATLAB's files, written by h5py and scipy in the layouts people download: k-space is found, bad files are refused."""

from pathlib import Path

import h5py
import jaxtyping
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dainr.errors import BadScan
from dainr.io import load
from dainr.io.scans.formats import read
from dainr.scan import Scan
from tests.io import centred_fft, exact_kspace, random_complex

NX, NY, COILS, FRAMES, SLICES = 12, 10, 3, 4, 2
HEAD = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan  1 00:00:00 2024 HDF5 schema 1.00 ."


@pytest.fixture(autouse=True)
def checks_as_users_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong shapes must be refused by the program's own checks; the annotations are only checked in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def write(path: Path, version: str, **variables: np.ndarray) -> Path:
    """Variables whose axes are MATLAB's: as MATLAB 7.3 writes them, as h5py alone does, or as MATLAB 5."""
    if version == "5":
        scipy.io.savemat(path, variables)
        return path
    with h5py.File(path, "w", userblock_size=512 if version == "7.3" else 0) as file:
        for name, array in variables.items():
            if np.iscomplexobj(array):
                pair = np.empty(array.shape[::-1], [("real", "<f4"), ("imag", "<f4")])
                pair["real"], pair["imag"] = array.T.real, array.T.imag
                array = pair.T
            file.create_dataset(name, data=array.T)
    if version == "7.3":
        with path.open("r+b") as raw:
            raw.write(HEAD.ljust(124) + b"\x00\x02IM")
    return path


def series() -> np.ndarray:
    """Coil images `slice frame coil y x`."""
    return random_complex(SLICES, FRAMES, COILS, NY, NX)


def cmrxrecon(images: np.ndarray, undersampled: bool = True) -> np.ndarray:
    """Their k-space `x y coil slice frame`, some lines of each frame zero."""
    k = centred_fft(images).transpose(4, 3, 2, 0, 1).copy()
    if undersampled:
        for frame in range(FRAMES):
            k[:, [y for y in range(NY) if y % 4 != frame % 4], ..., frame] = 0
    return k


def check(scan: Scan, images: np.ndarray) -> None:
    """The measured lines are those of the coil images, in their places."""
    assert scan.is_cartesian and scan.frame is not None
    for index, coil_images in enumerate(images):
        for frame in range(len(coil_images)):
            mine = scan.frame[index] == frame
            expected = exact_kspace(coil_images[frame], scan.trajectory[index, mine])
            np.testing.assert_allclose(scan.kspace[index, :, mine], expected.swapaxes(0, 1), atol=1e-5)


@pytest.mark.parametrize("version", ["7.3", "hdf5", "5"])
@pytest.mark.parametrize("name", ["kspace_sub04", "kspace", "kus"])
def test_undersampled_kspace_of_cmrxrecon(version: str, name: str, tmp_path: Path) -> None:
    scan = read(write(tmp_path / "cine_sax.mat", version, mask=np.ones((NX, NY)), **{name: cmrxrecon(series())}))
    assert (scan.n_slices, scan.n_coils, scan.n_frames, scan.matrix) == (SLICES, COILS, FRAMES, (NY, NX))
    assert scan.readouts_per_frame.tolist() == [[3, 3, 2, 2]] * scan.n_slices
    assert any(name in note for note in scan.notes)
    assert any(f"its {SLICES} slices are taken as one stack" in note for note in scan.notes)
    assert scan.decided == {"slices_may_be_views": True}
    check(scan, series())


@pytest.mark.parametrize("version", ["7.3", "5"])
def test_fully_sampled_kspace_has_every_line(version: str, tmp_path: Path) -> None:
    scan = read(write(tmp_path / "cine_lax.mat", version, kspace_full=cmrxrecon(series(), undersampled=False)))
    assert scan.readouts_per_frame.tolist() == [[NY] * FRAMES] * SLICES
    check(scan, series())


def test_a_mask_that_leaves_no_whole_lines_gives_points(tmp_path: Path) -> None:
    kept = np.random.default_rng(0).random((NX, NY, 1, 1, FRAMES)) < 0.3
    kspace = cmrxrecon(series(), undersampled=False) * kept
    scan = read(write(tmp_path / "cine_sax_kus_ktRadial8.mat", "7.3", kspace_ktRadial8=kspace))
    assert (scan.n_slices, scan.n_coils, scan.n_frames, scan.n_samples) == (SLICES, COILS, FRAMES, 1)
    assert scan.readouts_per_frame.tolist() == [kept.sum((0, 1, 2, 3)).tolist()] * SLICES
    check(scan, series())


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "points"])
def test_each_slice_may_have_a_mask_of_its_own(lines: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kept = random.random((1 if lines else NX, NY, 1, SLICES, FRAMES)) < 0.4
    kept[:, 0] = True
    kspace = cmrxrecon(series(), undersampled=False) * kept
    scan = read(write(tmp_path / "cine_sax.mat", "7.3", kspace=kspace))
    assert scan.readouts_per_frame.tolist() == kept.sum((0, 1, 2)).tolist()
    assert scan.n_samples == (NX if lines else 1)
    check(scan, series())


def test_a_line_with_a_sample_that_is_zero_by_chance_is_a_line(tmp_path: Path) -> None:
    kspace = cmrxrecon(series())
    kspace[3, 4] = 0
    scan = read(write(tmp_path / "cine_sax.mat", "7.3", kspace=kspace))
    assert scan.n_samples == NX and (scan.kspace[..., 3] == 0).any()


def test_a_variable_whose_name_is_damaged_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "cine.mat", "hdf5", kspace_full=cmrxrecon(series(), undersampled=False))
    with h5py.File(path, "r+") as file:
        file[b"\x01\xff"] = np.ones(3)
    check(read(path), series())


def test_a_single_coil_has_no_axis(tmp_path: Path) -> None:
    k = cmrxrecon(series()[:, :, :1])
    scan = read(write(tmp_path / "cine.mat", "7.3", kspace_single_sub04=k[:, :, 0]))
    assert (scan.n_slices, scan.n_coils, scan.n_frames) == (SLICES, 1, FRAMES)
    check(scan, series()[:, :, :1])


def test_last_axes_of_one_entry_are_not_there(tmp_path: Path) -> None:
    k = centred_fft(series()[0, 0]).transpose(2, 1, 0)
    scan = read(write(tmp_path / "map.mat", "7.3", kspace_full=k))
    assert (scan.n_slices, scan.n_frames) == (1, 1)
    check(scan, series()[:1, :1])


@pytest.mark.parametrize("version", ["7.3", "5"])
@pytest.mark.parametrize("with_maps", [True, False])
def test_gated_kspace_with_coil_maps(version: str, with_maps: bool, tmp_path: Path) -> None:
    images, maps = series()[0], random_complex(COILS, NY, NX)
    variables = {"data": centred_fft(images).transpose(2, 3, 0, 1)}
    if with_maps:
        variables["b1"] = maps.transpose(1, 2, 0)
    scan = read(write(tmp_path / "cardiac.mat", version, **variables))
    check(scan, images[None])
    if with_maps:
        assert scan.coil_maps is not None
        np.testing.assert_allclose(scan.coil_maps[0], maps, rtol=1e-6)
    else:
        assert scan.coil_maps is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"mask": np.ones((NX, NY))}, "it holds a sampling mask alone"),
        ({"something": np.ones((3, 2))}, "it holds something; give the file of the k-space: dainr reads"),
        ({"kspace_full": np.ones((NX, NY, 2, 1, 3))}, "kspace_full is not complex"),
        ({"kspace_full": np.ones((NX, NY), complex)}, "has 2 axes"),
        ({"kspace_full": np.full((NX, NY, 2, 1, 3), complex("nan"))}, "holds NaN"),
        ({"kspace_full": np.zeros((NX, NY, 2, 1, 3), complex)}, "frame 0 holds nothing but zeros"),
        ({"data": np.ones((NX, NY), complex)}, "data has 2 axes"),
        ({"data": np.ones((NX, NY, 3, 2), complex), "b1": np.ones((NX, NY, 5), complex)}, "its coil maps are"),
        ({"data": np.ones((NX, NY, 3, 2), complex), "b1": np.ones((NX, NY, 5, 2), complex)}, "b1 has 4 axes"),
    ],
)
@pytest.mark.parametrize("version", ["7.3", "5"])
def test_what_is_no_cine_is_refused(
    version: str, variables: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadScan, match=message):
        read(write(tmp_path / "some.mat", version, **variables))


@pytest.mark.parametrize("version", ["7.3", "5"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused_or_read(version: str, data: st.DataObject, tmp_path: Path) -> None:
    """By the process that reads for the program: of some, both versions' libraries crash."""
    path = write(tmp_path / "whole.mat", version, kspace_full=cmrxrecon(series()))
    content = bytearray(path.read_bytes())
    del content[data.draw(st.integers(0, len(content))) :]
    for place in data.draw(st.lists(st.integers(0, max(len(content) - 1, 0)), max_size=4)):
        if content:
            content[place] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged.mat"
    damaged.write_bytes(content)
    try:
        load(damaged)
    except BadScan as error:
        assert str(error)
