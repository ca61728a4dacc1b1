"""Data consistency: what it is on the grid, that the solve solves, and the solve's gradients."""

import torch

from dainr.networks.unrolled.consistency import GradientStep, ProximalStep, _Solve
from dainr.operators.gram import KernelGram
from dainr.operators.measured import Measured
from tests.helper import random_complex
from tests.operators import relative_l2

MASK = (torch.rand(3, 8, 1, generator=torch.Generator().manual_seed(0)) < 0.4).float().expand(3, 8, 6)


def unit_maps(n_coils: int) -> torch.Tensor:
    maps = random_complex(n_coils, 8, 6)
    return maps / maps.abs().square().sum(0).sqrt()


def on_the_grid(n_coils: int) -> tuple[Measured, torch.Tensor]:
    """Lines of a random series, and their k-space `frame coil y x`, low frequencies first, orthonormal."""
    maps, x = unit_maps(n_coils), random_complex(3, 8, 6, seed=7)
    kspace = MASK[:, None] * torch.fft.fft2(x[:, None] * maps, norm="ortho")
    rhs = (maps.conj() * torch.fft.ifft2(kspace, norm="ortho")).sum(1)
    energy = kspace.abs().square().sum()
    return Measured(rhs, KernelGram(maps, MASK), energy, MASK.sum() * n_coils), kspace


def test_a_unit_step_puts_measured_lines_in_place_of_predicted_ones() -> None:
    measured, kspace = on_the_grid(1)
    maps, x = unit_maps(1), random_complex(3, 8, 6, seed=9)
    stepped = GradientStep()(x, measured)
    predicted = torch.fft.fft2(x[:, None] * maps, norm="ortho")
    replaced = (1 - MASK[:, None]) * predicted + MASK[:, None] * kspace
    assert relative_l2(stepped, (maps.conj() * torch.fft.ifft2(replaced, norm="ortho")).sum(1)) <= 1e-6


def test_a_unit_step_is_x_and_what_it_misses_of_all_coils() -> None:
    measured, kspace = on_the_grid(4)
    maps, x = unit_maps(4), random_complex(3, 8, 6, seed=9)
    missed = kspace - MASK[:, None] * torch.fft.fft2(x[:, None] * maps, norm="ortho")
    expected = x + (maps.conj() * torch.fft.ifft2(missed, norm="ortho")).sum(1)
    assert relative_l2(GradientStep()(x, measured), expected) <= 1e-6


def test_the_solve_solves() -> None:
    measured, _ = on_the_grid(4)
    x, step = random_complex(3, 8, 6, seed=9), ProximalStep(iterations=30)
    solved, mu = step(x, measured), step.log_mu.exp()
    assert relative_l2(measured.gram(solved) + mu * solved, measured.rhs + mu * x) <= 1e-5


def test_gradient_of_the_solve_against_finite_differences() -> None:
    maps = unit_maps(3).to(torch.complex128)
    gram = KernelGram(maps, MASK.double())
    r = random_complex(3, 8, 6, seed=9).to(torch.complex128).requires_grad_()
    mu = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r, mu: _Solve.apply(r, mu, gram, 60), (r, mu), fast_mode=True, atol=1e-6)
