"""What an image can put into a residual is counted in full, noise and what lies beside the image hardly."""

import numpy as np
import pytest

from dainr.assess.image_part import ImagePart

SIDE, COILS, READOUTS = 32, 8, 24

Y, X = np.meshgrid(*[(np.arange(SIDE) - SIDE // 2) / SIDE] * 2, indexing="ij")
INSIDE = np.hypot(Y, X) < 0.4
CENTRES = 0.6 * np.exp(2j * np.pi * np.arange(COILS) / COILS)
MAPS = np.stack([np.exp(-4 * ((Y - c.imag) ** 2 + (X - c.real) ** 2)) for c in CENTRES]).astype(complex)
MAPS /= np.sqrt((np.abs(MAPS) ** 2).sum(0))


def white(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / np.sqrt(2)


def trajectory(kind: str) -> np.ndarray:
    """Lines, spokes that hold twice the field of view, spirals, or points."""
    random = np.random.default_rng(1)
    if kind == "lines":
        rows, along = random.integers(0, SIDE, READOUTS) - SIDE // 2, np.arange(SIDE) - SIDE // 2
        return np.stack(np.broadcast_arrays(rows[:, None], along), -1) / SIDE
    if kind == "points":
        return random.integers(-SIDE // 2, SIDE // 2, (READOUTS * SIDE, 1, 2)) / SIDE
    angle = (np.arange(READOUTS) * 2 * np.pi / READOUTS)[:, None]
    radius = (np.arange(2 * SIDE) - SIDE) / (2 * SIDE)
    turned = angle + (0 if kind == "spokes" else 4 * radius)
    return radius[:, None] * np.stack([np.sin(turned), np.cos(turned)], -1)


def measured(image: np.ndarray, maps: np.ndarray, k: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """Samples of an image, moved along x by fields of view."""
    y, x = (np.exp(-2j * np.pi * SIDE * k[..., i, None] * (axis + shift * i)) for i, axis in enumerate((Y[:, 0], X[0])))
    return np.einsum("rsy,cyx,rsx->crs", y, maps * image, x, optimize=True) / SIDE


@pytest.mark.parametrize("kind", ["lines", "spokes", "spirals", "points"])
def test_an_error_keeps_its_energy_and_noise_of_many_coils_loses_most(kind: str) -> None:
    random, k = np.random.default_rng(0), trajectory(kind)
    part = ImagePart(INSIDE[None].astype(complex), MAPS)
    errors = [INSIDE * white(random, (SIDE, SIDE)) for _ in range(4)]
    found = np.mean([part.energy(measured(e, MAPS, k), k).mean() for e in errors])
    assert found == pytest.approx(np.mean([np.mean(np.abs(e) ** 2) for e in errors]), rel=0.2)
    noise = white(random, (COILS, *k.shape[:2]))
    assert part.energy(noise, k).mean() == pytest.approx(part.noise(k), rel=0.1)
    assert part.noise(k) < COILS / 2


def test_of_spokes_what_lies_beside_the_field_of_view_counts_less() -> None:
    k = trajectory("spokes")
    part = ImagePart(INSIDE[None].astype(complex), MAPS)
    image = INSIDE * white(np.random.default_rng(0), (SIDE, SIDE))
    inside, beside = (part.energy(measured(image, MAPS, k, shift), k).mean() for shift in (0.0, 0.9))
    assert beside < 0.6 * inside


def test_what_is_low_in_k_space_stays_there() -> None:
    k = trajectory("spokes")
    part = ImagePart(INSIDE[None].astype(complex), MAPS)
    energy = part.energy(measured(INSIDE.astype(complex), MAPS, k), k)
    radius = np.hypot(k[..., 0], k[..., 1])
    assert energy[radius > 0.3].sum() < 0.01 * energy.sum()
