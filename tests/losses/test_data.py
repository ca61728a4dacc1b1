"""The data loss: zero at the truth, weighted by density, and its value by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dainr.losses import l1_loss, residual
from dainr.operators import Acquisition, Batch
from dainr.operators.fourier import FourierOperator
from tests.helper import random_complex


class Pixels(FourierOperator):
    """The pixels themselves in place of their Fourier transform."""

    def _frame(self, x: Tensor, frame: int) -> Tensor:
        return x.flatten(1)

    def _frame_adjoint(self, y: Tensor, frame: int) -> Tensor:
        return y.unflatten(1, self.matrix)


TRUTH = random_complex(1, 2, 2)
DOUBLING = torch.tensor([1.0, 2.0]).reshape(2, 1, 1).expand(2, 2, 2) + 0j  # the second coil sees twice the first
OPERATOR = Acquisition(DOUBLING, Pixels([np.zeros((4, 2))], (2, 2), 2, torch.device("cpu")))
BATCH = Batch(
    frames=(0.0,),
    times=torch.zeros(1),
    kspace=OPERATOR(TRUTH),
    density=torch.tensor([1.0, 0.5, 0.0, 2.0]),
    operator=OPERATOR,
)


def model(image: Tensor) -> Callable[[Batch], Tensor]:
    """A model that gives one image whatever the batch."""
    return lambda batch: image


def test_the_loss_is_zero_at_the_truth() -> None:
    assert float(l1_loss(model(TRUTH), BATCH)) == 0.0
    assert not residual(model(TRUTH), BATCH).any()


def test_the_loss_is_the_weighted_mean_of_real_and_imaginary_errors() -> None:
    error = torch.tensor([[[3 - 4j, 1 + 0j], [100 + 100j, -2j]]])
    by_coil = 1.0 * (3 + 4) + 0.5 * 1 + 0.0 * 200 + 2.0 * 2
    assert float(l1_loss(model(TRUTH + error), BATCH)) == pytest.approx(by_coil * (1 + 2) / 8, rel=1e-5)


def test_residual_is_predicted_less_measured() -> None:
    torch.testing.assert_close(residual(model(TRUTH + 1), BATCH), torch.tensor([[1.0], [2.0]]).expand(2, 4) + 0j)


@pytest.mark.parametrize("factor", [0.0, 2.0, 10.0])
def test_the_loss_scales_with_the_density(factor: float) -> None:
    scaled = replace(BATCH, density=factor * BATCH.density)
    image = TRUTH + 1
    torch.testing.assert_close(l1_loss(model(image), scaled), factor * l1_loss(model(image), BATCH))


def test_samples_of_no_density_have_no_gradient() -> None:
    image = (TRUTH + 1 + 1j).requires_grad_()
    (gradient,) = torch.autograd.grad(l1_loss(model(image), BATCH), image)
    assert gradient[0, 1, 0] == 0
    assert gradient[0, 0, 0] != 0


def test_descending_the_gradient_lowers_the_loss() -> None:
    image = (TRUTH + 1).requires_grad_()
    loss = l1_loss(model(image), BATCH)
    (gradient,) = torch.autograd.grad(loss, image)
    assert l1_loss(model(image.detach() - 0.1 * gradient), BATCH) < loss


class Refined(torch.nn.Module):
    """The true image with other coil maps, as a model that refines them would have."""

    def forward(self, batch: Batch) -> Tensor:
        return TRUTH

    def coil_maps(self) -> Tensor:
        return 3 * DOUBLING


def test_a_model_that_refines_the_coil_maps_is_measured_by_them() -> None:
    torch.testing.assert_close(residual(Refined(), BATCH), 2 * BATCH.kspace)
