"""The phantom's closed-form k-space against a brute-force transform of a finely sampled picture of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.simulate.coils import coil_coefficients, coil_maps, harmonics
from dainr.simulate.phantom import Ellipse, beating_thorax, contraction, ellipse_image, ellipse_kspace

FINE = 400
PHASES = st.floats(0, 1, exclude_max=True)


def constant(a, b):
    return lambda phase: (np.full(len(phase), a), np.full(len(phase), b))


def grid(n):
    """Pixel centres (y, x) in fields of view of a picture whose middle is the origin, between four pixels."""
    axis = (np.arange(n) + 0.5) / n - 0.5
    return np.meshgrid(axis, axis, indexing="ij")


def brute_force(picture, k):
    """The integral over the field of view of picture * exp(-2 pi i k r), as a sum over its pixels."""
    y, x = grid(len(picture))
    rows, columns = (np.exp(-2j * np.pi * k[..., i].reshape(-1, 1) * axis) for i, axis in ((0, y[:, 0]), (1, x[0])))
    return np.einsum("jy,yx,jx->j", rows, picture, columns).reshape(k.shape[:-1]) / picture.size


def painted(ellipses, phase, n=FINE):
    """The sum of the ellipses at one phase, each pixel in or out, from the definition of an ellipse."""
    y, x = grid(n)
    picture = np.zeros((n, n))
    for e in ellipses:
        at = np.array([phase])
        (cy, cx), (ay, ax) = e.centre(at), e.axes(at)
        turn = np.array([[np.cos(e.angle), np.sin(e.angle)], [-np.sin(e.angle), np.cos(e.angle)]])
        u, v = np.tensordot(turn, np.stack([y - cy, x - cx]), 1)
        picture += e.density_at(at) * ((u / ay) ** 2 + (v / ax) ** 2 <= 1)
    return picture


POINTS = np.random.default_rng(0).uniform(-12, 12, (1, 40, 2))


@settings(max_examples=10, deadline=None)
@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(0.05, 0.25), st.floats(0.05, 0.25), st.floats(-3, 3))
def test_one_ellipse_transforms_to_the_closed_form(cy, cx, ay, ax, angle):
    ellipse = Ellipse(1.7, constant(cy, cx), constant(ay, ax), angle)
    found = ellipse_kspace([ellipse], POINTS, np.zeros(1))
    np.testing.assert_allclose(found, brute_force(painted([ellipse], 0), POINTS), atol=2e-3)


def test_at_the_centre_of_k_space_stands_the_area():
    ellipse = Ellipse(2.0, constant(0.1, 0.2), constant(0.1, 0.3))
    found = ellipse_kspace([ellipse], np.zeros((1, 1, 2)), np.zeros(1))
    assert found[0, 0] == pytest.approx(2 * np.pi * 0.03)


@pytest.mark.parametrize("phase", [0.0, 0.35, 0.8])
def test_the_thorax_transforms_to_its_picture_at_every_phase(phase):
    found = ellipse_kspace(beating_thorax(), POINTS, np.array([phase]))
    expected = brute_force(painted(beating_thorax(), phase), POINTS)
    np.testing.assert_allclose(found, expected, atol=1e-3 * abs(painted(beating_thorax(), phase).mean()) + 4e-4)


def test_the_thorax_under_a_coil_is_the_transform_of_the_weighted_picture():
    coefficients = coil_coefficients(2, np.random.default_rng(0))
    y, x = grid(FINE)
    series = np.exp(2j * np.pi * (harmonics()[:, 0, None, None] * y + harmonics()[:, 1, None, None] * x))
    weighted = np.tensordot(coefficients[1], series, 1) * painted(beating_thorax(), 0.2)
    found = sum(
        coefficients[1, term] * ellipse_kspace(beating_thorax(), POINTS - shift, np.array([0.2]))
        for term, shift in enumerate(harmonics())
    )
    np.testing.assert_allclose(found, brute_force(weighted, POINTS), atol=2e-3)


@pytest.mark.parametrize("n", [24, 25])
def test_a_pixel_holds_the_mean_of_the_picture_over_it_with_the_origin_at_n_over_2(n):
    ellipse = Ellipse(1.0, constant(0.1, -0.2), constant(0.15, 0.1), 0.4)
    image = ellipse_image([ellipse], (n, n + 6), 0.0)
    assert image.mean() == pytest.approx(np.pi * 0.15 * 0.1, rel=0.02)
    y, x = np.meshgrid((np.arange(n) - n // 2) / n, (np.arange(n + 6) - (n + 6) // 2) / (n + 6), indexing="ij")
    centre = (image * y).sum() / image.sum(), (image * x).sum() / image.sum()
    np.testing.assert_allclose(centre, (0.1, -0.2), atol=2e-3)


def test_maps_are_the_series_on_the_pixels():
    coefficients = coil_coefficients(3, np.random.default_rng(1))
    maps = coil_maps(coefficients, (8, 11))
    expected = sum(
        c * np.exp(2j * np.pi * q @ [2 / 8, -3 / 11]) for c, q in zip(coefficients[2], harmonics(), strict=True)
    )
    np.testing.assert_allclose(maps[2, 4 + 2, 5 - 3], expected)


def test_coils_look_at_different_sides_and_together_see_everything():
    maps = np.abs(coil_maps(coil_coefficients(6, np.random.default_rng(0)), (32, 32)))
    brightest = {np.unravel_index(m.argmax(), m.shape) for m in maps}
    assert len(brightest) == 6
    assert np.sqrt((maps**2).sum(0)).min() > 0.2


@given(PHASES)
def test_the_heartbeat_is_periodic_and_between_rest_and_full_contraction(phase):
    value = contraction(np.array([phase]))
    assert 0 <= value <= 1
    np.testing.assert_allclose(contraction(np.array([phase + 1])), value, atol=1e-9)


def test_the_heart_is_smallest_a_third_into_the_cycle():
    phases = np.linspace(0, 1, 200, endpoint=False)
    assert contraction(np.zeros(1)) == 0
    assert 0.28 < phases[contraction(phases).argmax()] < 0.48
