"""Scores by name, of three regions; DISTS with weights that were imported, and one sentence without them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dainr.assess.metrics import METRICS, Wanted, choose_metrics
from dainr.assess.scores import dynamic_region, evaluate, static_region
from dainr.errors import BadRequest, MissingBackend
from dainr.machine.checksum import file_sha256
from dainr.networks import dists
from dainr.networks.weights import FOLDER_VARIABLE, import_weights

from .test_scores import noisy, series


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that stand for the parts of the weights of a smaller network, and an empty folder to install them in."""
    channels = ((3, 3), (4, 4), (4, 4, 4), (5, 5, 5), (5, 5, 5))
    monkeypatch.setattr(dists, "CHANNELS", channels)
    monkeypatch.setattr(dists, "N_CHANNELS", 3 + sum(stage[-1] for stage in channels))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "weights"))
    paths, tensors = [tmp_path / "vgg.pth", tmp_path / "weights.pt"], dists.Dists().state_dict()
    network = {k: v for k, v in tensors.items() if k.startswith("features.")}
    torch.save(network | {"classifier.0.weight": torch.ones(2)}, paths[0])
    torch.save({k: v for k, v in tensors.items() if k not in network}, paths[1])
    known = {part: file_sha256(path)[:8] for part, path in zip((dists.VGG16, dists.WEIGHTING), paths, strict=True)}
    monkeypatch.setattr(dists, "SHA256", known)
    monkeypatch.setattr("dainr.networks.weights.SHA256", known)
    return paths


def test_the_usual_scores_are_those_that_need_no_weights() -> None:
    scores = Wanted().record(evaluate(noisy(series(), 0.1), series()))
    assert scores["ssim_window"] == 7
    for region in ("whole", "dynamic", "static"):
        assert list(scores[region]) == ["psnr", "ssim", "nrmse", "haarpsi"]


def test_scores_come_as_they_were_asked_for() -> None:
    wanted = choose_metrics("SSIM, psnr")
    scores = wanted.record(evaluate(noisy(series(), 0.1), series()))
    assert [list(scores[region]) for region in ("whole", "dynamic", "static")] == 3 * [["ssim", "psnr"]]


@pytest.mark.parametrize("text", ["", "lpips", "psnr,", "psnr,psnr"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="--metrics"):
        choose_metrics(text)


def test_the_static_region_is_what_is_not_dynamic() -> None:
    truth = series()[0]
    np.testing.assert_array_equal(static_region(truth), ~dynamic_region(truth))
    assert static_region(np.ones((3, 8, 8))).all()


def test_an_error_where_it_moves_leaves_the_static_scores() -> None:
    truth = np.full((1, 3, 20, 20), 0.5)
    truth[0, :, 5:9, 5:9] = np.array([0.2, 0.6, 1.0])[:, None, None]
    image = truth.copy()
    image[0, :, 6:8, 6:8] += np.array([0.3, 0.0, -0.1])[:, None, None]
    scores = evaluate(image, truth)
    assert scores.static.psnr > scores.whole.psnr > scores.dynamic.psnr
    assert scores.static.nrmse < 0.2 * scores.dynamic.nrmse


def test_without_both_parts_one_sentence_says_where_they_are(parts: list[Path]) -> None:
    for path in (None, parts[0]):
        if path is not None:
            import_weights(path)
        with pytest.raises(MissingBackend, match=r"vgg16-397923af\.pth.*weights\.pt.*dainr weights import"):
            choose_metrics("psnr,dists")
    assert choose_metrics("psnr").dists is None


def test_dists_of_every_region_with_imported_weights(parts: list[Path]) -> None:
    assert [import_weights(path).name for path in parts] == ["vgg16", "dists"]
    wanted = choose_metrics("dists")
    found = [evaluate(noisy(series(), level), series(), wanted.dists) for level in (0.0, 0.1, 0.4)]
    for region in ("whole", "dynamic", "static"):
        values = [wanted.record(one)[region]["dists"] for one in found]
        assert values[0] == pytest.approx(0, abs=1e-6)
        assert values == sorted(values) and values[1] > 1e-4
    assert evaluate(noisy(series(), 0.1), series()).whole.dists is None


def test_a_changed_part_is_refused(parts: list[Path], tmp_path: Path) -> None:
    for path in parts:
        import_weights(path)
    (tmp_path / "weights" / "vgg16.safetensors").write_bytes(b"")
    with pytest.raises(BadRequest, match="is not the file that was installed"):
        choose_metrics("dists")


def test_another_vgg16_is_not_installed(parts: list[Path], tmp_path: Path) -> None:
    torch.save(dists.Dists().state_dict(), tmp_path / "vgg16.pth")
    with pytest.raises(BadRequest, match="a part of DISTS's"):
        import_weights(tmp_path / "vgg16.pth")
    assert not (tmp_path / "weights").exists()


def test_every_score_says_how_it_is_written() -> None:
    for metric in METRICS.values():
        assert metric.form.format(0.5) and metric.heading
