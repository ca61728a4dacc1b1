from pathlib import Path

import h5py
import imageio.v3 as imageio
import imageio_ffmpeg
import nibabel
import numpy as np
import pytest

from dainr.runs.run import load_run

from . import GRIDDING, TINY_OPTIONS, assert_one_error, invoke, succeed
from .conftest import FinishedRun


def exported(run: FinishedRun, out: Path, *options: object) -> Path:
    result = succeed("export", run.folder, out, *options)
    assert result.stdout == ""
    assert out.name in result.stderr
    return out


def test_npy_is_the_complex_cine_of_the_run(finished: FinishedRun, tmp_path: Path) -> None:
    data = np.load(exported(finished, tmp_path / "cine.npy"))
    assert data.dtype == np.complex64
    with h5py.File(finished.folder / "cine.h5") as file:
        assert np.array_equal(data, file["cine"][()])


def test_npy_of_magnitudes_is_float32(finished: FinishedRun, tmp_path: Path) -> None:
    complex_data = np.load(exported(finished, tmp_path / "cine.npy"))
    data = np.load(exported(finished, tmp_path / "magnitude.npy", "--magnitude"))
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data, np.abs(complex_data))


def test_h5_holds_cine_and_times(finished: FinishedRun, tmp_path: Path) -> None:
    with h5py.File(exported(finished, tmp_path / "cine.h5", "--frames", 4)) as file:
        assert file["cine"].shape == (1, 4, 32, 32)
        assert file["times"].shape == (4,)
        assert file.attrs["fov_mm"].tolist() == [320.0, 320.0]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_is_magnitude_in_mm_and_seconds(finished: FinishedRun, tmp_path: Path, suffix: str) -> None:
    magnitude = np.abs(np.load(exported(finished, tmp_path / "cine.npy")))
    image = nibabel.load(exported(finished, tmp_path / f"cine{suffix}"))
    assert image.shape == (32, 32, 1, 6)
    np.testing.assert_allclose(np.asarray(image.dataobj).transpose(2, 3, 1, 0), magnitude, rtol=1e-6)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    np.testing.assert_allclose(image.header.get_zooms()[:3], [10, 10, 8], rtol=1e-6)


def test_gif_has_as_many_frames_as_asked(finished: FinishedRun, tmp_path: Path) -> None:
    frames = imageio.imread(exported(finished, tmp_path / "cine.gif", "--frames", 11), index=None)
    assert len(frames) == 11
    assert min(frames.shape[1:3]) >= 32
    assert frames.std(0).max() > 0


def test_mp4_has_as_many_frames_as_asked(finished: FinishedRun, tmp_path: Path) -> None:
    n_frames, seconds = imageio_ffmpeg.count_frames_and_secs(exported(finished, tmp_path / "cine.mp4", "--frames", 11))
    assert n_frames == 11
    assert 11 / 30 <= seconds <= 11 / 8


def test_png_shows_every_frame(finished: FinishedRun, tmp_path: Path) -> None:
    sheet = imageio.imread(exported(finished, tmp_path / "cine.png"))
    tiles = (sheet.shape[0] // 32) * (sheet.shape[1] // 32)
    assert tiles >= 6
    assert sheet.shape[0] % 32 == 0
    assert sheet.shape[1] % 32 == 0


def test_frames_and_matrix_as_asked(finished: FinishedRun, tmp_path: Path) -> None:
    out = exported(finished, tmp_path / "cine.npy", "--frames", 11, "--matrix", "48x40")
    assert np.load(out).shape == (1, 11, 48, 40)


def test_square_matrix_from_one_number(finished: FinishedRun, tmp_path: Path) -> None:
    assert np.load(exported(finished, tmp_path / "cine.npy", "--matrix", 20)).shape == (1, 6, 20, 20)


def test_rendering_at_the_frames_own_times_gives_the_cine_of_the_run(finished: FinishedRun, tmp_path: Path) -> None:
    with h5py.File(finished.folder / "cine.h5") as file:
        cine, times = file["cine"][()], file["times"][()].tolist()
    out = exported(finished, tmp_path / "cine.npy", "--times", f"{times[0]!r},{times[3]!r}")
    np.testing.assert_allclose(np.load(out), cine[:, [0, 3]], rtol=1e-4, atol=1e-5 * np.abs(cine).max())


def test_an_existing_file_is_replaced_only_by_force(finished: FinishedRun, tmp_path: Path) -> None:
    out = tmp_path / "cine.npy"
    out.write_text("mine")
    assert_one_error(invoke("export", finished.folder, out), 2)
    assert out.read_text() == "mine"
    exported(finished, out, "--force")
    assert np.load(out).shape == (1, 6, 32, 32)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cine.tiff", ()),
        ("cine", ()),
        ("nowhere/cine.npy", ()),
        ("cine.npy", ("--frames", 0)),
        ("cine.npy", ("--frames", -3)),
        ("cine.npy", ("--frames", 3, "--times", "0")),
        ("cine.npy", ("--times", "0,later")),
        ("cine.npy", ("--times", "")),
        ("cine.npy", ("--times", "nan")),
        ("cine.npy", ("--times", "99")),
        ("cine.npy", ("--matrix", "0")),
        ("cine.npy", ("--matrix", "64x")),
        ("cine.npy", ("--matrix", "99999")),
    ],
)
def test_what_cannot_be_exported_is_refused(
    finished: FinishedRun, tmp_path: Path, name: str, options: tuple[object, ...]
) -> None:
    assert_one_error(invoke("export", finished.folder, tmp_path / name, *options), 2)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_refused(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert_one_error(invoke("export", finished.folder, tmp_path / "cine.npy"), 2)


def test_a_folder_without_a_run_is_bad_data(tmp_path: Path) -> None:
    assert_one_error(invoke("export", tmp_path, tmp_path / "cine.npy"), 3)
    assert_one_error(invoke("export", tmp_path / "nowhere", tmp_path / "cine.npy"), 3)


def test_gridding_is_exported_as_it_is_and_not_between_its_frames(radial_file: Path, tmp_path: Path) -> None:
    succeed("fit", radial_file, "-o", tmp_path / "run", *GRIDDING)
    succeed("export", tmp_path / "run", tmp_path / "cine.npy")
    assert np.load(tmp_path / "cine.npy").shape == (1, 6, 32, 32)
    assert_one_error(invoke("export", tmp_path / "run", tmp_path / "more.npy", "--frames", 12), 2)
    assert not (tmp_path / "more.npy").exists()


@pytest.fixture(scope="module")
def mapped(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run with an error map."""
    folder = tmp_path_factory.mktemp("mapped") / "run"
    succeed("fit", finished.scan, "-o", folder, "--error-map", *TINY_OPTIONS)
    return folder


def test_the_error_map_is_exported_in_place_of_the_cine(mapped: Path, finished: FinishedRun, tmp_path: Path) -> None:
    succeed("export", mapped, tmp_path / "map.npy", "--error-map")
    succeed("export", mapped, tmp_path / "map.nii.gz", "--error-map")
    data = np.load(tmp_path / "map.npy")
    assert data.dtype == np.float32
    with h5py.File(mapped / "cine.h5") as file, h5py.File(finished.folder / "cine.h5") as other:
        assert np.array_equal(file["error_map"][()], data)
        assert file["error_map"].dtype == np.float32
        assert np.array_equal(file["cine"][()], other["cine"][()])
        assert "error_map" not in other
    image = nibabel.load(tmp_path / "map.nii.gz")
    np.testing.assert_allclose(np.asarray(image.dataobj).transpose(2, 3, 1, 0), data, rtol=1e-6)
    assert np.array_equal(load_run(mapped).error_map, data)


def test_a_run_without_an_error_map_says_so(finished: FinishedRun, tmp_path: Path) -> None:
    result = invoke("export", finished.folder, tmp_path / "map.npy", "--error-map")
    assert_one_error(result, 2)
    assert "the run has no error map" in result.stderr
    assert not (tmp_path / "map.npy").exists()


def test_an_error_map_is_not_rendered_elsewhere(mapped: Path, tmp_path: Path) -> None:
    result = invoke("export", mapped, tmp_path / "map.npy", "--error-map", "--frames", 12)
    assert_one_error(result, 2)
    assert "it is known at the frames and pixels of the scan" in result.stderr


@pytest.mark.parametrize("options", [("--method", "grasp"), ("--method", "gridding"), ("--preset", "paper")])
def test_what_gives_no_error_map_refuses_it(finished: FinishedRun, tmp_path: Path, options: tuple[str, ...]) -> None:
    result = invoke("fit", finished.scan, "-o", tmp_path / "run", "--error-map", *options)
    assert_one_error(result, 2)
    assert "error map" in result.stderr or "error_map" in result.stderr
    assert not (tmp_path / "run").exists()


def test_options_of_dicom_are_refused_for_other_files(finished: FinishedRun, tmp_path: Path) -> None:
    result = invoke("export", finished.folder, tmp_path / "cine.nii", "--one-series-per-slice")
    assert_one_error(result, 2)
    assert "are for DICOM" in result.stderr


def test_dicom_like_a_scanners_image_says_that_it_holds_patient_data(finished: FinishedRun, tmp_path: Path) -> None:
    exported(finished, tmp_path / "scanner_dicom")
    scanner = next((tmp_path / "scanner_dicom").iterdir())
    exported(finished, tmp_path / "dicom", "--like", scanner, "--one-series-per-slice")
    assert len(list((tmp_path / "dicom").iterdir())) == 6
