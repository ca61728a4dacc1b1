"""What tests of several modules check."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dainr.machine import disk
from dainr.operators.linear import LinearOperator
from dainr.scan import OF_A_SLICE, Scan


def random_complex(*shape: int, seed: int = 0) -> Tensor:
    """Complex standard normal numbers, single precision."""
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def assert_adjoint(operator: LinearOperator, x: Tensor, y: Tensor, tolerance: float = 1e-5) -> None:
    """<A x, y> = <x, A^H y>, relative to |A x| |y|."""
    ax, ay = operator(x), operator.adjoint(y)
    assert ax.shape == y.shape
    assert ay.shape == x.shape
    left, right = torch.vdot(y.flatten(), ax.flatten()), torch.vdot(ay.flatten(), x.flatten())
    assert abs(left - right) <= tolerance * float(ax.norm() * y.norm())


def assert_gradient_is_adjoint(operator: LinearOperator, x: Tensor, y: Tensor) -> None:
    """The autograd gradient of Re <A x, y> in x is A^H y, and of Re <A^H y, x> in y is A x."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((operator(x) * y.detach().conj()).real.sum(), x)
    torch.testing.assert_close(gradient, operator.adjoint(y.detach()))
    (gradient,) = torch.autograd.grad((operator.adjoint(y) * x.detach().conj()).real.sum(), y)
    torch.testing.assert_close(gradient, operator(x.detach()))


def repeated(scan: Scan, n_slices: int) -> Scan:
    """A stack of copies of a scan's one slice."""
    arrays = {name: getattr(scan, name) for name in OF_A_SLICE}
    return replace(scan, **{n: None if one is None else np.repeat(one, n_slices, 0) for n, one in arrays.items()})


def on_disk(array: np.ndarray) -> bool:
    """Whether an array may leave memory at any time."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return isinstance(getattr(owner, "obj", owner), disk.Space)
