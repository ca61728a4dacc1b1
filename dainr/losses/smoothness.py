"""Priors on a series: temporal total variation, sparsity and smooth motion.

Magnitudes are those of complex values, |z| = sqrt(re^2 + im^2 + e^2) with e far below the noise, so that the gradient
exists at zero.
"""

from functools import partial

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.kernels.compiling import chosen, on_cuda
from dainr.kernels.computed import computed
from dainr.kernels.variation_cpu import magnitude_cpu, spatial_cpu, temporal_cpu


def temporal_variation(
    series: Complex[Tensor, "frame y x"],
    cyclic: bool,
    rounding: float,
    weight: float | Float[Tensor, " step"] = 1.0,
) -> Float[Tensor, ""]:
    """sum_t,r w_t |x_t+1 - x_t|; the last frame is followed by the first where the series is cyclic.

    `rounding` is e, in the units of the series; `weight` is w, of all steps or of each.
    """
    if isinstance(weight, float):
        weight = torch.full((len(series),), weight, dtype=series.real.dtype, device=series.device)
    compute = chosen(series.device, _temporal, cpu=temporal_cpu, cuda=_temporal_cuda)
    return computed(partial(compute, cyclic=cyclic, rounding=rounding, weight=weight), series)


def magnitude(series: Complex[Tensor, "frame y x"], rounding: float, weight: float = 1.0) -> Float[Tensor, ""]:
    """weight * sum_t,r |x_t|."""
    compute = chosen(series.device, _magnitude, cpu=magnitude_cpu, cuda=_magnitude_cuda)
    return computed(partial(compute, rounding=rounding, weight=weight), series)


def spatial_variation(series: Complex[Tensor, "frame y x"], rounding: float, weight: float = 1.0) -> Float[Tensor, ""]:
    """weight * sum_t,r |grad x_t|, isotropic, by forward differences; none across the edge of the image."""
    compute = chosen(series.device, _spatial, cpu=spatial_cpu, cuda=_spatial_cuda)
    return computed(partial(compute, rounding=rounding, weight=weight), series)


def strain_energy(displacement: Float[Tensor, "frame 2 row column"]) -> Float[Tensor, ""]:
    """Squared differences between neighbouring control points, displacements in units of their spacing: strains."""
    down = displacement[:, :, 1:] - displacement[:, :, :-1]
    across = displacement[:, :, :, 1:] - displacement[:, :, :, :-1]
    return down.square().sum() + across.square().sum()


def _temporal(series: Tensor, cyclic: bool, rounding: float, weight: Tensor) -> tuple[Tensor, Tensor]:
    step = torch.roll(series, -1, 0).sub_(series) if cyclic else series[1:] - series[:-1]
    size, weight = _size(step, rounding), weight[: len(step), None, None]
    value = (weight * size).sum()
    step *= weight / size
    if cyclic:
        return value, torch.roll(step, 1, 0).sub_(step)
    gradient = torch.zeros_like(series)
    gradient[1:] += step
    gradient[:-1] -= step
    return value, gradient


def _spatial(series: Tensor, rounding: float, weight: float) -> tuple[Tensor, Tensor]:
    down, across = torch.zeros_like(series), torch.zeros_like(series)
    torch.sub(series[:, 1:], series[:, :-1], out=down[:, :-1])
    torch.sub(series[:, :, 1:], series[:, :, :-1], out=across[:, :, :-1])
    size = torch.hypot(_size(down, 0.0), _size(across, rounding))
    down *= weight / size
    across *= weight / size
    gradient = -(down + across)
    gradient[:, 1:] += down[:, :-1]
    gradient[:, :, 1:] += across[:, :, :-1]
    return weight * size.sum(), gradient


def _magnitude(series: Tensor, rounding: float, weight: float) -> tuple[Tensor, Tensor]:
    size = _size(series, rounding)
    return weight * size.sum(), series * (weight / size)


def _size(z: Tensor, rounding: float) -> Tensor:
    parts = torch.view_as_real(z)
    return (parts * parts).sum(-1).add_(rounding**2).sqrt_()


_temporal_cuda = on_cuda("variation_cuda.temporal_cuda", _temporal)
_spatial_cuda = on_cuda("variation_cuda.spatial_cuda", _spatial)
_magnitude_cuda = on_cuda("variation_cuda.magnitude_cuda", _magnitude)
