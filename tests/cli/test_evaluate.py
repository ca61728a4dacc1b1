import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dainr.scan import Scan

from . import assert_one_error, invoke, succeed
from .conftest import FinishedRun


@pytest.fixture
def reference(radial_scan: Scan) -> np.ndarray:
    assert radial_scan.reference is not None
    return radial_scan.reference


def scores(recon: Path, reference: Path) -> dict:
    result = succeed("evaluate", recon, reference, "--json")
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_the_reference_may_be_npy_nifti_or_inside_a_scan(
    finished: FinishedRun, reference: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "reference.npy", reference)
    image = nibabel.Nifti1Image(np.ascontiguousarray(reference.transpose(3, 2, 0, 1)), np.eye(4))
    nibabel.save(image, tmp_path / "reference.nii.gz")
    expected = scores(finished.folder, finished.scan)
    assert scores(finished.folder, tmp_path / "reference.npy") == expected
    assert scores(finished.folder, tmp_path / "reference.nii.gz") == expected


def test_json_has_every_score_of_both_regions(finished: FinishedRun) -> None:
    found = scores(finished.folder, finished.scan)
    for region in ("whole", "dynamic"):
        assert found[region].keys() == {"psnr", "ssim", "nrmse", "haarpsi"}
        assert 0 < found[region]["nrmse"] < 1
        assert 0 < found[region]["haarpsi"] < 1


def test_table_shows_the_scores_of_json(finished: FinishedRun) -> None:
    found = scores(finished.folder, finished.scan)
    table = succeed("evaluate", finished.folder, finished.scan).stdout
    for region in ("whole", "dynamic"):
        assert f"{found[region]['psnr']:.2f}" in table
        assert f"{found[region]['ssim']:.4f}" in table


def test_a_series_against_itself_is_perfect(reference: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", reference)
    np.save(tmp_path / "b.npy", 3 * reference)
    found = scores(tmp_path / "a.npy", tmp_path / "b.npy")["whole"]
    assert found["nrmse"] < 1e-6
    assert found["ssim"] == pytest.approx(1)
    assert found["haarpsi"] == pytest.approx(1)


def test_an_exported_run_scores_as_the_run(finished: FinishedRun, tmp_path: Path) -> None:
    succeed("export", finished.folder, tmp_path / "cine.npy")
    assert scores(tmp_path / "cine.npy", finished.scan) == scores(finished.folder, finished.scan)


@pytest.mark.parametrize("shape", [(1, 5, 32, 32), (1, 6, 32, 30), (2, 6, 32, 32)])
def test_another_shape_is_bad_data(finished: FinishedRun, tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "reference.npy", np.ones(shape, np.float32))
    assert_one_error(invoke("evaluate", finished.folder, tmp_path / "reference.npy"), 3)


def test_what_is_no_reference_is_bad_data(finished: FinishedRun, reference: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "nan.npy", np.where(reference > 0, np.nan, 0))
    np.save(tmp_path / "zero.npy", np.zeros_like(reference))
    np.save(tmp_path / "words.npy", np.array(["no", "image"]))
    (tmp_path / "short.npy").write_bytes((tmp_path / "nan.npy").read_bytes()[:200])
    (tmp_path / "text.nii").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image")
    for name in ("nan.npy", "zero.npy", "words.npy", "short.npy", "text.nii", "notes.txt", "missing.npy"):
        assert_one_error(invoke("evaluate", finished.folder, tmp_path / name), 3)


def test_the_scores_asked_for_of_three_regions(finished: FinishedRun) -> None:
    usual = scores(finished.folder, finished.scan)
    shown = succeed("evaluate", finished.folder, finished.scan, "--metrics", "haarpsi,psnr")
    assert "static 90 %" in shown.stdout and "SSIM " not in shown.stdout.splitlines()[1]
    for region in ("whole", "dynamic", "static"):
        assert f"{usual[region]['psnr']:.2f}" in shown.stdout
    found = json.loads(succeed("evaluate", finished.folder, finished.scan, "--metrics", "psnr", "--json").stdout)
    assert found["static"] == {"psnr": usual["static"]["psnr"]}


def test_scores_that_there_are_not(finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAINR_WEIGHTS", str(tmp_path))
    assert_one_error(invoke("evaluate", finished.folder, finished.scan, "--metrics", "lpips"), 2)
    assert_one_error(invoke("evaluate", finished.folder, finished.scan, "--metrics", "dists"), 4)
