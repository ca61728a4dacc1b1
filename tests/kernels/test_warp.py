"""The compiled warp on the CPU against torch's interpolation."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dainr.kernels.compiling import plain_torch
from dainr.kernels.warp import warp
from tests.helper import random_complex

pytestmark = pytest.mark.usefixtures("two_threads")


def plain(images: Tensor, displacement: Tensor) -> Tensor:
    """The warp in plain torch."""
    with plain_torch():
        return warp(images, displacement)


@settings(max_examples=25, deadline=None)
@given(
    ny=st.integers(1, 12),
    nx=st.integers(1, 12),
    n_frames=st.integers(1, 3),
    size=st.sampled_from([0.0, 0.3, 3.0, 30.0]),
    seed=st.integers(0, 1000),
)
def test_values_and_gradients_are_those_of_torch(ny: int, nx: int, n_frames: int, size: float, seed: int) -> None:
    torch.manual_seed(seed)
    moved, gradient = size * torch.randn(n_frames, 2, ny, nx), random_complex(n_frames, ny, nx, seed=seed + 1)
    found = []
    for function in (warp, plain):
        images = random_complex(n_frames, ny, nx, seed=seed).requires_grad_()
        displacement = moved.clone().requires_grad_()
        warped = function(images, displacement)
        warped.backward(gradient)
        found.append((warped.detach(), images.grad, displacement.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_without_displacement_images_stay_as_they_are() -> None:
    images = random_complex(2, 9, 7)
    torch.testing.assert_close(warp(images, torch.zeros(2, 2, 9, 7)), images)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_displacement_of_a_pixel_shows_its_neighbour(axis: int) -> None:
    images = random_complex(1, 8, 6)
    moved = torch.zeros(1, 2, 8, 6)
    moved[:, axis] = 1.0  # x first
    expected = torch.roll(images, -1, 2 - axis)
    inner = (slice(None), slice(0, 7), slice(0, 5))
    torch.testing.assert_close(warp(images, moved)[inner], expected[inner], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("nowhere", [math.nan, math.inf, -math.inf, 1e30])
def test_what_is_displaced_to_nowhere_takes_nothing_else_with_it(nowhere: float) -> None:
    images = random_complex(1, 8, 6)
    moved = torch.zeros(1, 2, 8, 6)
    moved[0, 0, 3, 2] = nowhere
    warped = warp(images, moved)
    others = torch.ones(8, 6, dtype=torch.bool)
    others[3, 2] = False
    torch.testing.assert_close(warped[0][others], images[0][others])
    assert math.isfinite(nowhere) or not warped[0, 3, 2].isfinite()


def test_the_same_input_gives_the_same_bits() -> None:
    images, moved, gradient = random_complex(5, 40, 36), 0.1 * torch.randn(5, 2, 40, 36), random_complex(5, 40, 36)
    found = []
    for _ in range(2):
        x, d = images.clone().requires_grad_(), moved.clone().requires_grad_()
        warp(x, d).backward(gradient)
        found.append((x.grad, d.grad))
    assert all(a is not None and b is not None and torch.equal(a, b) for a, b in zip(*found, strict=True))
