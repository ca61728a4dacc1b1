"""The expected error of the images: that of residuals whose error is known, and of a small fit."""

from collections.abc import Callable

import numpy as np
import pytest

import dainr
from dainr.assess.image_error import Fitted, Residuals, band_edges, image_error
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


def case(white: Noise, error: float, beside: float = 0.0, noise: float = NOISE) -> tuple[dict, np.ndarray]:
    """What is said of images of one wrong by an error of the same spectrum, measured by a third of the lines."""
    random = np.random.default_rng(1)
    radius = np.hypot(*np.meshgrid(*[(np.arange(SIDE) - SIDE // 2) / SIDE] * 2))
    shape = (FRAMES, SIDE, SIDE)
    spectrum = np.maximum(radius, 0.5 / SIDE) ** -1.5
    signal, wrong = (spectrum * white(shape) for _ in range(2))
    wrong *= error * np.linalg.norm(signal) / np.linalg.norm(wrong)
    weights = np.full((COILS, 1, 1), COILS**-0.5, complex)
    other = np.array([1, -1, 1, -1])[:, None, None] * COILS**-0.5
    still = beside * spectrum * white(shape[1:]) * np.linalg.norm(signal) / np.linalg.norm(spectrum) / FRAMES**0.5
    parts: list[list] = [[], []]
    for frame in range(FRAMES):
        rows = random.permutation(SIDE)[: SIDE // 3]
        for held, chosen in enumerate((rows[2:], rows[:2])):
            k = weights * wrong[frame][chosen] + other * still[chosen]
            parts[held].append((k + noise * white(k.shape), lines(chosen)))
    both = []
    for part in parts:
        samples, trajectory = (np.concatenate(x, axis) for x, axis in zip(zip(*part, strict=True), (1, 0), strict=True))
        both.append(Residuals(samples, trajectory, np.ones(trajectory.shape[:2])))
    images = np.fft.ifft2(np.fft.ifftshift(signal, axes=(1, 2)), norm="ortho")
    return image_error(Fitted(images, np.broadcast_to(weights, (COILS, SIDE, SIDE)), noise, True), *both), signal


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


def test_images_of_nothing_have_no_error(white: Noise) -> None:
    nothing = np.zeros((2, SIDE, SIDE), complex)
    some = Residuals(white((1, 4, SIDE)), lines(np.arange(4)), np.ones((4, SIDE)))
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
