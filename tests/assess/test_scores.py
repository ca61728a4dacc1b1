"""Scores: perfect where identical, blind to scale, and each against its definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from dainr.assess.scores import dynamic_region, evaluate, haarpsi, psnr
from dainr.errors import BadScan


def series(seed: int = 0, shape: tuple[int, ...] = (1, 4, 20, 24)) -> np.ndarray:
    """A smooth magnitude series that changes over time."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[2], 0 : shape[3]]
    waves = [np.sin(0.4 * y + phase) + np.cos(0.3 * x * (1 + phase)) + 2.5 for phase in random.uniform(0, 1, shape[1])]
    return np.broadcast_to(np.stack(waves), shape).copy()


def noisy(truth: np.ndarray, level: float) -> np.ndarray:
    return np.abs(truth + level * np.random.default_rng(1).standard_normal(truth.shape))


def test_the_truth_itself_is_perfect() -> None:
    scores = evaluate(series(), series())
    for region in (scores.whole, scores.dynamic):
        assert region.psnr > 150
        assert region.ssim == pytest.approx(1)
        assert region.haarpsi == pytest.approx(1)
        assert region.nrmse == pytest.approx(0, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(ours=st.floats(1e-6, 1e6), theirs=st.floats(1e-6, 1e6), turn=st.floats(0, 6))
def test_scores_do_not_depend_on_scale_or_phase(ours: float, theirs: float, turn: float) -> None:
    truth = series()
    image = noisy(truth, 0.1)
    plain, scaled = evaluate(image, truth), evaluate(ours * np.exp(1j * turn) * image, theirs * truth)
    for region in ("whole", "dynamic"):
        for name in ("psnr", "ssim", "nrmse", "haarpsi"):
            assert getattr(getattr(scaled, region), name) == pytest.approx(getattr(getattr(plain, region), name))


def test_psnr_and_nrmse_by_hand() -> None:
    truth = np.zeros((1, 1, 10, 10))
    truth[0, 0, 0] = 2.0
    image = truth.copy()
    image[0, 0, 1] = 1.0  # least squares: sum(image truth) / sum(image^2) = 40 / 50
    errors = np.array([0.8 * 2 - 2, 0.8 * 1]) / 2
    mean_square = (10 * errors**2).sum() / 100
    scores = evaluate(image, truth).whole
    assert scores.psnr == pytest.approx(-10 * math.log10(mean_square))
    assert scores.nrmse == pytest.approx(math.sqrt(mean_square * 100 / 10))


def test_psnr_of_a_tenth_of_the_peak_is_20_db() -> None:
    assert psnr(np.full((3, 3), 0.1)) == pytest.approx(20)


def test_psnr_is_the_mean_over_frames_with_one_scale_for_the_series() -> None:
    truth = series()
    image = noisy(truth, 0.1)
    image[:, 2] *= 1.2
    factor = (image * truth).sum() / (image * image).sum()
    errors = ((factor * image - truth)[0] / truth.max()) ** 2
    assert evaluate(image, truth).whole.psnr == pytest.approx(np.mean(-10 * np.log10(errors.mean((1, 2)))))


def test_ssim_is_that_of_scikit_image() -> None:
    truth = series()
    image = noisy(truth, 0.2)
    factor = (image * truth).sum() / (image * image).sum()
    frames = [
        structural_similarity(b, factor * a, data_range=truth.max()) for a, b in zip(image[0], truth[0], strict=True)
    ]
    assert evaluate(image, truth).whole.ssim == pytest.approx(np.mean(frames))


def test_the_dynamic_region_is_the_tenth_that_moves_most() -> None:
    random = np.random.default_rng(0)
    swing = np.linspace(0, 1, 400)
    random.shuffle(swing)
    truth = 2 + swing.reshape(20, 20) * np.array([-1, 0, 1])[:, None, None]
    region = dynamic_region(truth)
    assert region.sum() == 40
    assert set(swing[region.ravel()]) == set(np.sort(swing)[-40:])


def test_an_error_where_nothing_moves_leaves_the_dynamic_scores() -> None:
    truth = np.full((1, 3, 20, 20), 0.5)
    truth[0, :, 5:9, 5:9] = np.array([0.2, 0.6, 1.0])[:, None, None]
    image = truth.copy()
    image[0, :, 15, 15] = 0.6
    image[0, :, 15, 16] = 0.4  # leaves the scale all but unchanged
    scores = evaluate(image, truth)
    assert scores.dynamic.nrmse < 2e-3
    assert scores.whole.nrmse > 5 * scores.dynamic.nrmse


def test_a_still_series_counts_every_pixel_as_dynamic() -> None:
    truth = np.repeat(series()[:, :1], 3, axis=1)
    assert dynamic_region(truth[0]).all()
    scores = evaluate(noisy(truth, 0.1), truth)
    assert scores.dynamic.nrmse == pytest.approx(scores.whole.nrmse)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_haarpsi_is_symmetric_and_between_zero_and_one(seed: int) -> None:
    a, b = np.random.default_rng(seed).random((2, 16, 18))
    assert haarpsi(a, b) == pytest.approx(haarpsi(b, a))
    assert 0 < haarpsi(a, b) < 1
    assert haarpsi(a, a) == pytest.approx(1)


def test_every_score_falls_with_noise() -> None:
    truth = series()
    whole = [evaluate(noisy(truth, level), truth).whole for level in (0.05, 0.1, 0.2, 0.4, 0.8)]
    for name in ("psnr", "ssim", "haarpsi"):
        values = [getattr(scores, name) for scores in whole]
        assert values == sorted(values, reverse=True)
    errors = [scores.nrmse for scores in whole]
    assert errors == sorted(errors)


def test_slices_are_averaged_each_with_its_own_scale() -> None:
    truth = np.concatenate([series(0), series(1)])
    image = np.concatenate([noisy(truth[:1], 0.1), 30 * noisy(truth[1:], 0.3)])
    both = evaluate(image, truth).whole
    alone = [evaluate(image[i : i + 1], truth[i : i + 1]).whole for i in (0, 1)]
    assert both.psnr == pytest.approx(np.mean([s.psnr for s in alone]))
    assert both.nrmse == pytest.approx(np.mean([s.nrmse for s in alone]))


@pytest.mark.parametrize("size", [4, 5, 6])
def test_images_smaller_than_the_ssim_window_still_get_scores(size: int) -> None:
    truth = series(shape=(1, 3, size, size))
    scores = evaluate(noisy(truth, 0.1), truth).whole
    assert 0 < scores.ssim < 1


def test_motion_at_the_border_alone_gives_finite_scores() -> None:
    truth = np.full((1, 3, 20, 20), 0.5)
    truth[0, :, :2] = np.array([0.2, 0.6, 1.0])[:, None, None]
    scores = evaluate(noisy(truth, 0.1), truth).dynamic
    assert np.isfinite([scores.psnr, scores.ssim, scores.nrmse, scores.haarpsi]).all()


def test_a_region_that_moves_as_one_and_is_larger_than_a_tenth_gives_finite_scores() -> None:
    truth = np.full((1, 3, 20, 20), 0.5)
    truth[0, :, 5:15, 5:15] = np.array([0.2, 0.6, 1.0])[:, None, None]
    assert 40 <= dynamic_region(truth[0]).sum() <= 100
    scores = evaluate(noisy(truth, 0.1), truth).dynamic
    assert np.isfinite([scores.psnr, scores.ssim, scores.nrmse, scores.haarpsi]).all()


def test_a_slice_without_signal_is_refused_or_scored_but_never_nan() -> None:
    truth = np.concatenate([series(), np.zeros_like(series())])
    try:
        scores = evaluate(noisy(truth, 0.1), truth).whole
    except BadScan as error:
        assert "empty" in str(error)
    else:
        assert np.isfinite([scores.psnr, scores.ssim, scores.nrmse, scores.haarpsi]).all()


def test_another_shape_names_both_and_the_cure() -> None:
    with pytest.raises(BadScan, match=r"\(1, 3, 20, 24\) is not the reconstruction's \(1, 4, 20, 24\).*--frames"):
        evaluate(series(), series()[:, :3])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    broken = series()
    broken[0, 0, 0, 0] = bad
    with pytest.raises(BadScan, match="reference: it is empty or holds NaN or Inf"):
        evaluate(series(), broken)
    with pytest.raises(BadScan, match="reconstruction: it holds NaN or Inf; fit the scan again"):
        evaluate(broken, series())


def test_an_empty_reference_is_refused_and_an_empty_reconstruction_scores_badly() -> None:
    with pytest.raises(BadScan, match="it is empty"):
        evaluate(series(), np.zeros_like(series()))
    assert evaluate(np.zeros_like(series()), series()).whole.nrmse == pytest.approx(1)
