"""Cubic B-splines on an even grid of control points: smooth maps of a plane from few numbers.

f(u) = sum_i c_i B(u / h - i), separable in y and x (Unser, IEEE Signal Process Mag 1999;16:22). Twice continuously
differentiable, and evaluated on any pixels as two small matrix products.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=16)
def spline_matrix(n_points: int, n_control: int, device: torch.device) -> Float[Tensor, "point control"]:
    """Values of the control points' splines at the centres of `n_points` pixels.

    The control points span the field of view with one beyond each edge, and every row sums to one. Kept: not to change.
    """
    position = (torch.arange(n_points, device=device) + 0.5) / n_points * (n_control - 3) + 1
    distance = (position[:, None] - torch.arange(n_control, device=device)).abs()
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, inner, outer)


def spline_map(
    control: Float[Tensor, "*map row column"], rows: Float[Tensor, "y row"], columns: Float[Tensor, "x column"]
) -> Float[Tensor, "*map y x"]:
    """Maps at the pixels the two matrices were made for."""
    return rows @ control @ columns.T
