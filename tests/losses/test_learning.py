"""Losses of networks: consistency, equivariance, risk, by a reference; any callable is a network."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as ssim_of_skimage
from torch import Tensor, nn

from dainr.errors import BadRequest
from dainr.losses.consistency import mc
from dainr.losses.equivariance import EquivarianceConfig, ddei, useful_kinds
from dainr.losses.learning import LossConfig, LossName, make_loss
from dainr.losses.supervised import SupervisedConfig, structural_similarity, supervised
from dainr.losses.sure import sure
from dainr.losses.transforms import draw
from dainr.operators.measured import Measured
from tests.helper import random_complex
from tests.losses.lines import MATRIX, lines_scan, some_scan

NAMES: tuple[LossName, ...] = ("ssdu", "ddei", "mc", "sure", "supervised")
ALL = [list(range(MATRIX[0]))] * 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def identity(measured: Measured) -> Tensor:
    return measured.rhs


class Scaling(nn.Module):
    """The gridded frames times what is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.7))

    def forward(self, measured: Measured) -> Tensor:
        return self.factor * measured.rhs


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_runs_with_any_network_and_its_gradient_is_right(name: LossName) -> None:
    scan, network = some_scan(), Scaling()
    loss = make_loss(LossConfig(loss=name), reference=random_complex(4, *MATRIX))
    assert math.isfinite(float(loss(lambda measured: 0.7 * measured.rhs, scan, generator())))
    value = loss(network, scan, generator())
    value.backward()
    values = []
    for factor in (0.69, 0.71):
        network.factor.data.fill_(factor)
        values.append(float(loss(network, scan, generator()).detach()))
    assert network.factor.grad is not None
    assert float(network.factor.grad) == pytest.approx((values[1] - values[0]) / 0.02, rel=0.02, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_gives_the_same_loss(name: LossName) -> None:
    loss = make_loss(LossConfig(loss=name), reference=random_complex(4, *MATRIX))
    first, second = (loss(identity, some_scan(), generator(5)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", ["mc", "ssdu"])
def test_losses_of_measurements_are_one_of_black_images_and_zero_of_the_truth(name: LossName) -> None:
    truth = random_complex(4, *MATRIX)
    scan = lines_scan(truth, [[0, 3, 4, 5, 9]] * 4, random_complex(2, *MATRIX, seed=7), n_central=0)
    loss = make_loss(LossConfig(loss=name))
    assert float(loss(lambda measured: torch.zeros_like(truth), scan, generator())) == pytest.approx(1, abs=1e-5)
    assert abs(float(loss(lambda measured: truth, scan, generator()))) < 1e-5


def test_equivariance_is_zero_of_a_network_that_is_equivariant_and_perfect() -> None:
    scan = lines_scan(random_complex(4, *MATRIX), ALL)  # all lines, one coil: G is the identity
    for seed in range(12):
        assert abs(float(ddei(identity, scan, generator(seed)))) < 1e-5


@pytest.mark.parametrize("only", ["shift", "rotation", "diffeomorphism"])
def test_equivariance_is_measured_by_hand_and_reaches_the_second_pass(only: str) -> None:
    scan = lines_scan(random_complex(4, *MATRIX), [[0, 3, 4, 5, 9], [1, 4, 5], [2, 4, 5, 6], [4, 5, 7, 8]])
    switches = {kind: kind == only for kind in ("shift", "rotation", "diffeomorphism")}
    config = EquivarianceConfig(equivariance_weight=2.0, **switches)
    passes: list[Measured] = []

    def network(measured: Measured) -> Tensor:
        passes.append(measured)
        return measured.rhs

    value = ddei(network, scan, generator(1), config)
    first, second = passes
    assert torch.equal(first.rhs, scan.of().rhs)
    energy = scan.of().energy  # f(y) explains y here, for one coil on the grid
    transform = draw(generator(1), MATRIX, 4, True, (only,))  # type: ignore[arg-type]
    moved = transform(first.rhs)
    torch.testing.assert_close(second.rhs, first.gram(moved))
    missed = (second.rhs - moved).abs().square()
    if transform.inside is not None:
        missed = missed[:, transform.inside]
    expected = 2.0 * missed.mean() / (energy / (4 * MATRIX[0] * MATRIX[1]))
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


def test_gradients_pass_through_both_calls() -> None:
    scan = lines_scan(random_complex(4, *MATRIX), [[0, 3, 4, 5, 9]] * 4)
    first, second = torch.ones((), requires_grad=True), torch.ones((), requires_grad=True)
    factors = [first, second]
    ddei(lambda measured: factors.pop(0) * measured.rhs, scan, generator()).backward()
    assert first.grad is not None
    assert second.grad is not None
    assert abs(float(first.grad)) > 1e-2  # of the data term alone it would be zero
    assert factors == []


def test_a_shift_is_not_drawn_where_it_teaches_nothing() -> None:
    config = EquivarianceConfig()
    assert useful_kinds(config, some_scan()) == ("shift", "rotation", "diffeomorphism")
    assert useful_kinds(config, some_scan(shared_pattern=True)) == ("rotation", "diffeomorphism")
    only = EquivarianceConfig(rotation=False, diffeomorphism=False)
    assert useful_kinds(only, some_scan(shared_pattern=True)) == ("shift",)
    with pytest.raises(BadRequest, match="off"):
        ddei(identity, some_scan(), generator(), EquivarianceConfig(shift=False, rotation=False, diffeomorphism=False))


@pytest.mark.parametrize("shrinkage", [1.0, 0.6])
def test_the_risk_estimate_is_unbiased(shrinkage: float) -> None:
    sigma, truth = 0.5, random_complex(4, *MATRIX)
    maps = random_complex(2, *MATRIX, seed=7)
    lines = [[0, 3, 4, 5, 9], [1, 4, 5], [2, 4, 5, 6], [4, 5, 7, 8]]
    clean = lines_scan(truth, lines, maps)
    noiseless = clean.of()
    estimates, risks, misfits = [], [], []
    for seed in range(60):
        noise = sigma * random_complex(*clean.kspace.shape, seed=seed)
        scan = lines_scan(truth, lines, maps, noise, sigma)
        energy = float(scan.of().energy)

        def network(measured: Measured) -> Tensor:
            return shrinkage * measured.rhs

        estimates.append(energy * float(sure(network, scan, generator(seed))))
        misfits.append(energy * float(mc(network, scan, generator(seed))))
        risks.append(float(noiseless.misfit(network(scan.of()))) * truth.numel())
    assert np.mean(estimates) == pytest.approx(np.mean(risks), rel=0.04)
    assert np.mean(misfits) != pytest.approx(np.mean(risks), rel=0.1)


def test_without_noise_the_risk_is_the_misfit() -> None:
    scan = some_scan(noise_std=0.0)
    assert torch.equal(sure(identity, scan, generator()), mc(identity, scan, generator()))
    noisy = EquivarianceConfig(data_term="sure")
    assert torch.equal(ddei(identity, scan, generator(), noisy), ddei(identity, scan, generator()))


def test_the_risk_takes_the_place_of_the_misfit_in_ddei() -> None:
    scan = some_scan(noise_std=0.3)
    off = {"equivariance_weight": 0.0}
    by_risk = ddei(identity, scan, generator(), EquivarianceConfig(data_term="sure", **off))
    torch.testing.assert_close(by_risk, sure(identity, scan, generator()))


def test_structural_similarity_is_that_of_scikit_image() -> None:
    x, y = (random_complex(2, 20, 24, seed=seed).real.clamp(-1, 1) for seed in (0, 1))
    y = 0.7 * x + 0.3 * y
    expected = np.mean([ssim_of_skimage(a.numpy(), b.numpy(), data_range=2.0) for a, b in zip(x, y, strict=True)])
    inner = structural_similarity(x[:, None], y[:, None])
    assert float(inner) == pytest.approx(float(expected), rel=1e-4)


def test_each_term_by_the_reference_is_zero_at_it_and_counts_by_its_weight() -> None:
    truth, scan = random_complex(4, *MATRIX), some_scan()
    none = {"l1": 0.0, "mse": 0.0, "ssim": 0.0, "kspace": 0.0}
    total = float(supervised(identity, scan, generator(), truth))
    parts = [
        float(supervised(identity, scan, generator(), truth, SupervisedConfig(**(none | {name: 1.0})))) for name in none
    ]
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(total, rel=1e-5)
    assert abs(float(supervised(lambda measured: truth, scan, generator(), truth))) < 1e-5
    scale = float(truth.abs().max())
    shifted = supervised(
        lambda measured: truth + 0.1j, scan, generator(), truth, SupervisedConfig(**(none | {"l1": 1.0}))
    )
    assert float(shifted) == pytest.approx(0.05 / scale, rel=1e-3)


def test_a_reference_that_is_not_there_or_of_another_shape_is_refused() -> None:
    with pytest.raises(BadRequest, match="no reference"):
        make_loss(LossConfig(loss="supervised"))
    with pytest.raises(BadRequest, match="shape"):
        supervised(identity, some_scan(), generator(), random_complex(4, 8, 8))
