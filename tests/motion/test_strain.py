"""Strain of motion that is known in closed form."""

import numpy as np
import pytest

from dainr.motion.strain import away_from_centre, away_from_contour, green_lagrange, sectors, wall_strain

N, CENTRE = 64, (32.0, 32.0)
SPACING = (2.0, 2.0)


def ring(inner: float = 12, outer: float = 20) -> np.ndarray:
    away = np.hypot(*np.meshgrid(np.arange(N) - 32, np.arange(N) - 32, indexing="ij"))
    return (away >= inner) & (away <= outer)


def displacement(radial: float = 0.0, across: float = 0.0, turn: float = 0.0) -> np.ndarray:
    """Everything scaled about the centre, x and y apart, and turned."""
    y, x = np.meshgrid(np.arange(N) - 32.0, np.arange(N) - 32.0, indexing="ij")
    cos, sin = np.cos(turn), np.sin(turn)
    new_x, new_y = x * (1 + across), y * (1 + radial)
    return np.stack([cos * new_x - sin * new_y - x, sin * new_x + cos * new_y - y])


def test_a_turn_is_no_strain() -> None:
    assert np.abs(green_lagrange(displacement(turn=0.5), SPACING)).max() < 1e-9


def test_stretch_is_half_its_square_less_one() -> None:
    strain = green_lagrange(displacement(radial=0.2, across=-0.1), (1.0, 3.0))
    np.testing.assert_allclose(strain[1, 1], 0.5 * (1.2**2 - 1))
    np.testing.assert_allclose(strain[0, 0], 0.5 * (0.9**2 - 1))
    np.testing.assert_allclose(strain[0, 1], 0, atol=1e-12)


def test_shear_counts_pixels_that_are_not_square() -> None:
    y = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")[0]
    strain = green_lagrange(np.stack([0.1 * y, 0.0 * y]), (2.0, 1.0))  # 0.1 mm along x a mm, pixels 2 mm high
    np.testing.assert_allclose(strain[0, 1], 0.5 * 0.05)


@pytest.mark.parametrize("centre", [CENTRE, None])
def test_a_wall_that_thickens_and_shortens(centre: tuple[float, float] | None) -> None:
    y, x = np.meshgrid(np.arange(N) - 32.0, np.arange(N) - 32.0, indexing="ij")
    r = np.maximum(np.hypot(y, x), 1e-9)
    new = 20 - 1.25 * (20 - r)  # radially a quarter thicker, the outer contour where it was
    found = wall_strain(np.stack([x, y])[None] * (new / r - 1), ring(), SPACING, centre)
    radial, circumferential = found.means()["radial"][0, 0], found.means()["circumferential"][0, 0]
    assert radial == pytest.approx(0.5 * (1.25**2 - 1), rel=0.03)
    expected = 0.5 * ((new / r) ** 2 - 1)[ring()].mean()
    assert circumferential == pytest.approx(expected, rel=0.05) and circumferential < 0
    assert np.isnan(found.radial[0, 32, 32])


def test_outwards_by_centre_and_by_contour_agree_on_a_ring() -> None:
    about, by_contour = away_from_centre(CENTRE, (N, N), SPACING), away_from_contour(ring(), SPACING)
    assert (about * by_contour).sum(0)[ring()].min() > 0.97


def test_sectors_begin_anterior_and_go_on_over_the_left() -> None:
    found = sectors(ring(), CENTRE, SPACING)
    assert [found[32 - 16, 32], found[32 - 8, 32 - 14], found[32 + 8, 32 - 14], found[32 + 16, 32]] == [1, 2, 3, 4]
    assert [found[32 + 8, 32 + 14], found[32 - 8, 32 + 14], found[32, 32]] == [5, 6, 0]
    turned = sectors(ring(), CENTRE, SPACING, anterior_deg=0)
    assert turned[32, 32 + 16] == 1 and turned[32 - 14, 32 + 8] == 2
    counts = np.bincount(found[ring()])[1:]
    assert counts.min() > 0.9 * counts.max()


def test_a_sector_without_pixels_has_no_strain() -> None:
    half = ring() & (np.arange(N) > 36)
    means = wall_strain(displacement(radial=0.1)[None], half, SPACING, CENTRE).means()
    assert np.isnan(means["radial"][2, 0]) and np.isfinite(means["radial"][5, 0])
