"""The expected error of the images: that of residuals whose error is known, and of a small fit."""

from collections.abc import Callable

import numpy as np
import pytest

import dainr
from dainr.assess.image_error import Fitted, Residuals, _mean_over_frames, band_edges, image_error
from dainr.assess.scores import evaluate
from dainr.scan import Scan
from tests.conftest import TINY

SIDE, FRAMES, COILS, NOISE = 48, 12, 4, 0.02

Noise = Callable[[tuple[int, ...]], np.ndarray]


@pytest.fixture
def white() -> Noise:
    random = np.random.default_rng(0)
    return lambda shape: (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / np.sqrt(2)


def lines(rows: np.ndarray) -> np.ndarray:
    kx = (np.arange(SIDE) - SIDE // 2) / SIDE
    return np.stack(np.broadcast_arrays(((rows - SIDE // 2) / SIDE)[:, None], kx), -1)


def case(
    white: Noise, error: float, beside: float = 0.0, noise: float = NOISE, told: float = 1.0, change: float = 0.0
) -> tuple[dict, np.ndarray]:
    """What is said of images of one wrong by an error of the same spectrum, measured by a third of the lines.

    `told`: the noise that the fit knows, over the true one; `change`: what moves while a frame is measured.
    """
    random = np.random.default_rng(1)
    radius = np.hypot(*np.meshgrid(*[(np.arange(SIDE) - SIDE // 2) / SIDE] * 2))
    shape = (FRAMES, SIDE, SIDE)
    spectrum = np.maximum(radius, 0.5 / SIDE) ** -1.5
    signal, wrong, moved = (spectrum * white(shape) for _ in range(3))
    wrong *= error * np.linalg.norm(signal) / np.linalg.norm(wrong)
    moved *= change * np.linalg.norm(signal) / np.linalg.norm(moved)
    weights = np.full((COILS, 1, 1), COILS**-0.5, complex)
    other = np.array([1, -1, 1, -1])[:, None, None] * COILS**-0.5
    still = beside * spectrum * white(shape[1:]) * np.linalg.norm(signal) / np.linalg.norm(spectrum) / FRAMES**0.5
    parts: list[list] = [[], []]
    for frame in range(FRAMES):
        rows = random.permutation(SIDE)[: SIDE // 3]
        for held, chosen in enumerate((rows[2:], rows[:2])):
            since = random.uniform(-0.5, 0.5, len(chosen))[:, None]
            along = weights * moved[frame][chosen] * since
            k = weights * wrong[frame][chosen] + other * still[chosen] - along
            parts[held].append((k + noise * white(k.shape), lines(chosen), np.full(len(chosen), frame), along))
    both = []
    for part in parts:
        samples, trajectory, frames, along = (np.concatenate(x, axis) for x, axis in zip(zip(*part), (1, 0, 0, 1)))  # noqa: B905
        known = along if change else None
        both.append(Residuals(samples, trajectory, np.ones(trajectory.shape[:2]), frames, known))
    images = np.fft.ifft2(np.fft.ifftshift(signal, axes=(1, 2)), norm="ortho")
    maps = np.broadcast_to(weights, (COILS, SIDE, SIDE))
    return image_error(Fitted(images, maps, told * noise, True), *both), signal


@pytest.mark.parametrize("error", [0.1, 0.2, 0.3])
def test_an_error_of_all_k_space_is_found_from_some_lines(white: Noise, error: float) -> None:
    said, _ = case(white, error)
    assert said["image_error"] == pytest.approx(error, rel=0.35)  # the rule of fits draws on it
    low, high = said["image_error_range"]
    assert low < said["image_error"] < high < 2 * said["image_error"]
    total = np.linalg.norm(said["image_error_bands"]["error"])
    assert total == pytest.approx(said["image_error"], rel=0.05)
    assert np.linalg.norm(said["image_error_bands"]["signal"]) == pytest.approx(1, abs=1e-3)


def test_a_larger_error_is_said_to_be_larger(white: Noise) -> None:
    said = [case(white, error)[0]["image_error"] for error in (0.02, 0.08, 0.2, 0.5)]
    assert said == sorted(said)
    assert said[3] > 4 * said[0]


def test_what_stands_still_and_is_no_image_is_no_error_of_it(white: Noise) -> None:
    alone, beside = (case(white, 0.1, still)[0]["image_error"] for still in (0.0, 0.3))
    assert beside < 1.5 * alone


def test_what_moves_on_while_a_frame_is_measured_is_no_error_of_it(white: Noise) -> None:
    still, moving = (case(white, 0.1, change=change)[0]["image_error"] for change in (0.0, 1.0))
    assert moving < 1.3 * still


def test_noise_told_too_large_does_not_hide_the_error(white: Noise) -> None:
    true, larger = (case(white, 0.1, told=told)[0]["image_error"] for told in (1.0, 1.3))
    assert larger > 0.6 * true


def test_contrast_that_is_wrong_in_one_frame_counts_with_its_neighbours(white: Noise) -> None:
    """Nothing is held out at the centre, and few lines pass there: of the frames, all count alike."""
    energy, weight = np.array([[0.0], [8.0], [1.0], [3.0]]), np.array([[0.0], [2.0], [1.0], [3.0]])
    assert _mean_over_frames(energy, weight) == pytest.approx([(4 + 4 + 1 + 1) / 4])


def test_images_of_nothing_have_no_error(white: Noise) -> None:
    nothing = np.zeros((2, SIDE, SIDE), complex)
    some = Residuals(white((1, 4, SIDE)), lines(np.arange(4)), np.ones((4, SIDE)), np.array([0, 0, 1, 1]))
    assert image_error(Fitted(nothing, np.ones((1, SIDE, SIDE), complex), 1.0, True), some, some) == {}


def test_bands_end_at_what_spokes_reach_and_hold_the_corners() -> None:
    for matrix in ((16, 16), (48, 32), (192, 156), (512, 512)):
        edges = band_edges(matrix)
        assert (np.diff(edges) > 0).all()
        assert edges[0] == 0 and edges[-2] == pytest.approx(0.5, abs=1e-5) and edges[-1] > np.hypot(0.5, 0.5)


@pytest.mark.parametrize("name", ["radial_scan", "cartesian_scan"])
@pytest.mark.parametrize("subframes", [1, 2])
def test_a_small_fit_says_about_how_far_it_is_off(name: str, subframes: int, request: pytest.FixtureRequest) -> None:
    scan: Scan = request.getfixturevalue(name)
    settings = dict(pair.split("=", 1) for pair in TINY) | {"iterations": 40, "subframes": subframes}
    recon = dainr.reconstruct(scan, device="cpu", settings=settings)
    fit = recon.record["slices"][0]["fit"]
    assert scan.reference is not None
    true = evaluate(recon.cine.data, scan.reference).whole.nrmse
    assert 0.4 * true < fit["image_error"] < 1.8 * true
    assert 0 < fit["image_error_range"][0] < fit["image_error"] < fit["image_error_range"][1]
