"""Filters that can be turned: each a sum of basis functions, of which there is one set for every rotation.

Orders up to 4 take every pixel of 3 x 3 as a function of its own, which turns by 90 degrees without error. Order 8
takes cosines and sines that fade out in a circle of 5 x 5 pixels, evaluated anew on turned grids (Xie et al., IEEE
TPAMI 2022, "Fourier series expansion based filter parametrization for equivariant convolutions"). Few of them look the
same to an image at 0 and at 45 degrees: for waves with a period of four pixels and more, the combinations that change
least are taken, each weighted by how little.
"""

import math
from typing import Literal

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor

Order = Literal[1, 4, 8]

SIZE = {1: 3, 4: 3, 8: 5}  # of filters, in pixels, by the order of the group
HIGHEST = math.pi / 2  # radians per pixel, of the waves for which stability is judged
CHANGE = 0.015  # of a function that counts half, relative to its response
LEAST_WEIGHT = 0.1  # of those that are taken


def turned_basis(order: Order) -> Float[Tensor, "rotation function y x"]:
    """The functions of a group of rotations; one turned by 90 degrees is another's pixels in another order, exactly."""
    first = _pixels(SIZE[order]) if order < 8 else _stable_waves(order, SIZE[order])
    turns = [np.rot90(first, turn, axes=(2, 3)) for turn in range(min(order, 4))]
    return torch.from_numpy(np.ascontiguousarray(np.concatenate(turns))).float()


def _pixels(size: int) -> Float[np.ndarray, "1 function y x"]:
    return np.eye(size**2).reshape(1, size**2, size, size)


def _stable_waves(order: int, size: int) -> Float[np.ndarray, "rotation function y x"]:
    """The functions at the rotations below 90 degrees; at all of them together of norm one before they are weighted."""
    sampled = np.stack([_waves(2 * math.pi * r / order, size) for r in range(order // 4)])
    n_functions = sampled.shape[1]
    columns = sampled.transpose(0, 2, 3, 1).reshape(-1, n_functions)
    left, strength, _ = np.linalg.svd(columns, full_matrices=False)
    left = left[:, strength > 1e-6 * strength[0]]
    independent = left.reshape(len(sampled), size, size, -1).transpose(0, 3, 1, 2)
    responses = np.stack([_responses(f, 2 * math.pi * r / order) for r, f in enumerate(independent)])
    differences = responses - responses.mean(0)
    changed, seen = (np.einsum("rwi,rwj->ij", z.conj(), z).real for z in (differences, responses))
    squares, mixtures = scipy.linalg.eigh(changed, seen + 1e-9 * np.trace(seen) * np.eye(len(seen)))
    weights = 1 / (1 + np.clip(squares, 0, None) / CHANGE**2)
    mixtures = mixtures / np.linalg.norm(mixtures, axis=0) * math.sqrt(len(sampled)) * weights
    return np.einsum("rjyx,jk->rkyx", independent, mixtures[:, weights > LEAST_WEIGHT])


def _waves(angle: float, size: int) -> Float[np.ndarray, "function y x"]:
    """Cosines and sines of all frequencies that a grid of so many pixels holds, turned; they fade out in a circle."""
    y, x = _grid(size)
    y, x = math.cos(angle) * y + math.sin(angle) * x, math.cos(angle) * x - math.sin(angle) * y
    half = size // 2
    window = np.cos(np.pi / 2 * np.minimum(np.hypot(y, x) / (half + 1), 1)) ** 2
    numbers = [(k, m) for k in range(-half, half + 1) for m in range(-half, half + 1) if (k, m) >= (0, 0)]
    phases = [2 * math.pi / size * (k * y + m * x) for k, m in numbers]
    return window * np.stack([*map(np.cos, phases), *map(np.sin, phases[1:])])


def _responses(functions: Float[np.ndarray, "function y x"], angle: float) -> np.ndarray:
    """What turned functions make of waves that are turned along: `wave function`, complex."""
    at = np.linspace(-HIGHEST, HIGHEST, 31)
    wy, wx = (w[np.hypot(*np.meshgrid(at, at)) <= HIGHEST] for w in np.meshgrid(at, at, indexing="ij"))
    turned_y, turned_x = math.cos(angle) * wy - math.sin(angle) * wx, math.sin(angle) * wy + math.cos(angle) * wx
    y, x = _grid(functions.shape[1])
    waves = np.exp(-1j * (turned_y[:, None, None] * y + turned_x[:, None, None] * x))
    return np.einsum("wyx,jyx->wj", waves, functions)


def _grid(size: int) -> tuple[Float[np.ndarray, "y x"], Float[np.ndarray, "y x"]]:
    y, x = np.meshgrid(*[np.arange(size, dtype=float) - size // 2] * 2, indexing="ij")
    return y, x
