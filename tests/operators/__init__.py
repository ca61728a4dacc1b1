"""The exact Fourier transform and checks that hold for every operator."""

import numpy as np
import torch
from torch import Tensor

from dainr.operators.linear import LinearOperator
from tests.helper import assert_adjoint, assert_gradient_is_adjoint, random_complex


def exact_forward(x: Tensor, points: list[np.ndarray], matrix: tuple[int, int]) -> np.ndarray:
    """y[c, j] = 1 / sqrt(ny nx) * sum_r x[f(j), c, r] exp(-2 pi i k_j . r), in double precision."""
    images = x.cpu().numpy().astype(np.complex128).reshape(len(points), x.shape[1], -1)
    return np.concatenate([image @ _phases(p, matrix).T for image, p in zip(images, points, strict=True)], 1)


def exact_adjoint(y: Tensor, points: list[np.ndarray], matrix: tuple[int, int]) -> np.ndarray:
    """x[f, c, r] = 1 / sqrt(ny nx) * sum_j y[c, j] exp(2 pi i k_j . r) over the points of frame f."""
    pieces = np.split(y.cpu().numpy().astype(np.complex128), np.cumsum([len(p) for p in points])[:-1], 1)
    return np.stack(
        [(z @ _phases(p, matrix).conj()).reshape(len(z), *matrix) for z, p in zip(pieces, points, strict=True)]
    )


def _phases(points: np.ndarray, matrix: tuple[int, int]) -> np.ndarray:
    y, x = (np.arange(n) - n // 2 for n in matrix)
    angle = points[:, 0, None, None] * y[:, None] + points[:, 1, None, None] * x
    return np.exp(-2j * np.pi * angle).reshape(len(points), -1) / np.sqrt(matrix[0] * matrix[1])


def relative_l2(found: Tensor, truth: np.ndarray | Tensor) -> float:
    """Norm of the difference over that of the truth."""
    found, truth = found.detach(), truth.detach().cpu().numpy() if isinstance(truth, Tensor) else truth
    assert found.shape == truth.shape
    return float(np.linalg.norm(found.cpu().numpy() - truth) / np.linalg.norm(truth))


def assert_linear_operator(operator: LinearOperator, x: Tensor, y: Tensor) -> None:
    """The adjoint is the adjoint, the gradient is the adjoint, and so it is a second time."""
    assert_adjoint(operator, x, y)
    assert_gradient_is_adjoint(operator, x, y)
    assert_double_backward(operator, x)
    assert_double_backward(operator.H, y)


def assert_double_backward(operator: LinearOperator, x: Tensor) -> None:
    """Half the gradient of |A x|^2 is A^H A x, and the gradient of Re <A^H A x, v> is A^H A v."""
    x, v = x.clone().requires_grad_(), random_complex(*x.shape, seed=9).to(x.device)
    energy = 0.5 * torch.view_as_real(operator(x)).square().sum()
    (first,) = torch.autograd.grad(energy, x, create_graph=True)
    torch.testing.assert_close(first, operator.gram(x))
    (second,) = torch.autograd.grad((first * v.conj()).real.sum(), x)
    torch.testing.assert_close(second, operator.gram(v))
