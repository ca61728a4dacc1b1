"""Scans that are turned as a whole - images, coil maps, samples - and how far a network is from turning along.

Turns by 90 degrees move pixels about pixel n // 2, or places of k-space about its zero frequency; both wrap around.
For other angles there are smooth series and coil maps, drawn anew at any angle, which end within a circle.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from scipy import ndimage
from torch import Tensor, nn

from benchmarks.networks import Nothing
from dainr.losses.consistency import Network
from dainr.networks.unrolled.consistency import GradientStep
from dainr.networks.unrolled.dun_sre import LearnedStep
from dainr.networks.unrolled.unrolled import UnrolledNetwork
from dainr.operators.gram import KernelGram, SelfAdjoint, toeplitz_kernel
from dainr.operators.measured import Measured
from dainr.operators.on_grid import OnGrid

BLOBS, SPOKES = 8, 13
Widths = tuple[float, float]
WIDTHS: Widths = (2.5, 3.5)  # of blobs: between these standard deviations, in pixels
LINES_FOLD = 4
INNER, OUTER = 0.36, 0.47  # radii in fields of view: where errors are measured, and where coils see nothing any more


def quarter(x: Tensor, about: int) -> Tensor:
    """A series `... y x` of square images turned by 90 degrees, from y towards x, about this pixel of both axes."""
    pixel = torch.arange(x.shape[-1])
    return x[..., pixel[None], (2 * about - pixel[:, None]) % x.shape[-1]]


class GridGram(SelfAdjoint):
    """A^H W A of samples on the grid, in whatever precision they have."""

    def __init__(self, samples: OnGrid) -> None:
        super().__init__()
        self.samples = samples

    def _map(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        return self.samples.combine(self.samples.measure(x))


def measured_on_grid(samples: OnGrid, cyclic: bool = True) -> Measured:
    """What a network reads of samples on the grid."""
    energy = (samples.weights[:, None] * samples.kspace.abs().square()).sum()
    weight = len(samples.maps) * samples.weights.sum()
    return Measured(samples.combine(samples.kspace), GridGram(samples), energy, weight, cyclic, lambda: samples)


def quarter_on_grid(samples: OnGrid) -> OnGrid:
    """The same scan, turned: maps about pixel n // 2, k-space about its zero frequency."""
    maps = quarter(samples.maps, samples.maps.shape[-1] // 2)
    return replace(samples, maps=maps, weights=quarter(samples.weights, 0), kspace=quarter(samples.kspace, 0))


def smooth_series(
    n: int, n_frames: int, degrees: float, seed: int = 0, widths: Widths = WIDTHS
) -> Complex[Tensor, "frame y x"]:
    """Blobs that move and pulse in a cycle, turned; in double precision."""
    random = np.random.default_rng(seed)
    y, x = _turned_grid(n, degrees)
    time = 2 * np.pi * np.arange(n_frames)[:, None, None] / n_frames
    series = np.zeros((n_frames, n, n), complex)
    for _ in range(BLOBS):
        angle, radius, width = random.uniform(0, 2 * np.pi), 0.25 * random.uniform() ** 0.5, random.uniform(*widths) / n
        at, phase = radius * np.exp(1j * angle), random.uniform(0, 2 * np.pi)
        dy, dx = y - at.real - 0.02 * np.cos(time + phase), x - at.imag - 0.02 * np.sin(time + phase)
        height = (1 + 0.3 * np.cos(time + phase)) * random.standard_normal(2).view(complex)
        series += height * np.exp(-(dy**2 + dx**2) / (2 * width**2))
    return torch.from_numpy(series)


def smooth_maps(n: int, n_coils: int, degrees: float) -> Complex[Tensor, "coil y x"]:
    """Coils around the field of view, turned, of unit norm where they see anything."""
    y, x = _turned_grid(n, degrees)
    places = np.exp(2j * np.pi * (np.arange(n_coils) + 0.2) / n_coils)[:, None, None] * 0.6
    maps = np.exp(-((y - places.real) ** 2 + (x - places.imag) ** 2) / 0.5 + 2j * (places.imag * y - places.real * x))
    seen = np.clip((OUTER - np.hypot(y, x)) / (OUTER - INNER), 0, 1)
    taper = seen**3 * (10 - 15 * seen + 6 * seen**2)
    return torch.from_numpy(taper * maps / np.sqrt((np.abs(maps) ** 2).sum(0)))


def smooth_on_grid(n: int, n_frames: int, n_coils: int, widths: Widths = WIDTHS) -> OnGrid:
    """A smooth series measured by lines, others in each frame, the central ones in all."""
    random = np.random.default_rng(0)
    lines = random.uniform(size=(n_frames, n, 1)) < 1 / LINES_FOLD
    lines[:, [0, 1, -1]] = True
    weights = torch.from_numpy(np.broadcast_to(lines, (n_frames, n, n)).astype(float))
    scan = OnGrid(smooth_maps(n, n_coils, 0.0), weights, torch.zeros(n_frames, n_coils, n, n, dtype=torch.complex128))
    return scan.remeasured(smooth_series(n, n_frames, 0.0, widths=widths))


def smooth_spokes(n: int, n_frames: int, n_coils: int, degrees: float, widths: Widths = WIDTHS) -> Measured:
    """A smooth series measured by spokes, all turned; weighted by their density and without noise."""
    series, maps = smooth_series(n, n_frames, degrees, widths=widths), smooth_maps(n, n_coils, degrees)
    kernels = []
    for frame in range(n_frames):
        angles = np.pi * (np.arange(SPOKES) / SPOKES + 0.618 * frame) + np.deg2rad(degrees)
        k = np.arange(-n, n) / (2 * n)
        points = np.stack([np.outer(np.cos(angles), k), np.outer(np.sin(angles), k)], 2).reshape(-1, 2)
        weights = np.tile(np.minimum(np.abs(k) * np.pi * n / SPOKES + 1 / SPOKES, 1.0) / 2, SPOKES)
        kernels.append(toeplitz_kernel(torch.from_numpy(points), torch.from_numpy(weights).float(), (n, n)))
    gram = KernelGram(maps, torch.stack(kernels))
    rhs = gram(series)
    return Measured(rhs, gram, (series.conj() * rhs).real.sum(), torch.tensor(1.0), cyclic=True)


def turn_error(change: Callable[[float], Tensor], degrees: float) -> float:
    """How far what is done to a turned series, `change(degrees)`, is from the turned `change(0)`, within the circle."""
    expected, found = turned(change(0.0), degrees), change(degrees)
    inside = circle(found.shape[-1])
    return float(torch.linalg.vector_norm((found - expected)[..., inside])) / float(
        torch.linalg.vector_norm(expected[..., inside])
    )


def turned(images: Tensor, degrees: float) -> Tensor:
    """A series `... y x` turned about pixel n // 2, from y towards x; but for 90 degrees by splines of order 5."""
    n = images.shape[-1]
    if degrees == 90:
        return quarter(images, n // 2)
    y, x = (n * axis + n // 2 for axis in _turned_grid(n, degrees))

    def of_part(part: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(part, [y, x], order=5, mode="grid-wrap")

    flat = images.reshape(-1, n, n).numpy()
    if np.iscomplexobj(flat):
        out = np.stack([of_part(image.real) + 1j * of_part(image.imag) for image in flat])
    else:
        out = np.stack([of_part(image) for image in flat])
    return torch.from_numpy(out).reshape(images.shape)


def circle(n: int) -> Bool[Tensor, "y x"]:
    """Pixels in which errors are measured."""
    y, x = _turned_grid(n, 0.0)
    return torch.from_numpy(np.hypot(y, x) < INNER)


def untaught(network: UnrolledNetwork) -> UnrolledNetwork:
    """The network without all that it learns: its start and its steps towards the data."""
    steps: list[nn.Module] = [GradientStep() if isinstance(c, LearnedStep) else c for c in network.consistencies]
    return UnrolledNetwork([Nothing() for _ in steps], network.cascades, steps, network.start)


@torch.no_grad()
def learned_part(network: UnrolledNetwork, measured: Measured) -> Complex[Tensor, "frame y x"]:
    """What the learned weights change of the images."""
    plain: Network = untaught(network)
    return network(measured) - plain(measured)


def _turned_grid(n: int, degrees: float) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    """Where (y, x) the content of each pixel was before, in fields of view from pixel n // 2."""
    y, x = np.meshgrid(*[(np.arange(n) - n // 2) / n] * 2, indexing="ij")
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return cos * y + sin * x, cos * x - sin * y
