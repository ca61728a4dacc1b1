"""GRASP: its objective, its limits, and what `cyclic` couples."""

import itertools
import math

import numpy as np
import pytest
import torch

from dainr.errors import BadRequest
from dainr.methods.classical.grasp import ADMM_STEP, Grasp, GraspConfig, TemporalVariation
from dainr.methods.classical.iterations import Iterate
from dainr.methods.classical.solvers import sampling_density, soft_threshold
from dainr.methods.slices import Slice
from dainr.scan import Scan
from dainr.settings.build import build_config
from tests.helper import random_complex
from tests.methods.test_slices import run, slice_of

CPU = torch.device("cpu")


def objective(part: Slice, images: torch.Tensor, config: GraspConfig) -> float:
    """As the module states it, written anew."""
    misfit = part.data.operator(images) - part.data.kspace
    ends = [*range(1, len(images)), 0] if config.cyclic else range(1, len(images))
    variation = sum(float((images[b] - images[b - 1]).abs().sum()) for b in ends)
    energy = config.ridge * part.prepared.noise_std**2 * float(images.abs().square().sum())
    return 0.5 * float(misfit.abs().square().sum()) + 0.5 * energy + config.weight * part.noise_std * variation


def iterates(part: Slice, config: GraspConfig, count: int) -> list[Iterate]:
    with torch.no_grad():
        return list(itertools.islice(Grasp().iterate(part, config), count))


@pytest.mark.parametrize("cyclic", [False, True])
def test_it_comes_close_to_the_minimum_of_the_objective_it_states(radial_scan: Scan, cyclic: bool) -> None:
    part, config = slice_of(radial_scan), GraspConfig(cyclic=cyclic)
    path = iterates(part, config, 60)
    for iterate in (path[0], path[-1]):
        assert iterate.objective == pytest.approx(objective(part, iterate.images, config), rel=1e-4)
    best = path[-1]
    stopped = next(iterate for iterate in path if iterate.residual < config.tolerance)
    assert best.objective < stopped.objective < 1.03 * best.objective
    for seed, size in itertools.product((1, 2, 3), (1e-3, 1e-2)):  # no direction leads lower
        nearby = best.images + size * random_complex(*best.images.shape, seed=seed)
        assert objective(part, nearby, config) > best.objective
    assert objective(part, best.images.mean(0, keepdim=True).expand_as(best.images), config) > best.objective


def test_a_large_weight_leaves_no_motion_and_none_leaves_the_data_alone(radial_scan: Scan) -> None:
    part = slice_of(radial_scan)
    still = iterates(part, GraspConfig(weight=1e4), 4)[-1].images
    assert float((still - still.mean(0)).norm() / still.norm()) < 0.02
    free = iterates(part, GraspConfig(weight=0.0, ridge=0.0), 4)[-1].images
    gradient = part.data.operator.adjoint(part.data.operator(free) - part.data.kspace)
    assert float(gradient.norm()) < 1e-3 * float(part.data.operator.adjoint(part.data.kspace).norm())


def test_a_single_frame_is_reconstructed(radial_scan: Scan) -> None:
    readouts = radial_scan.frame[0] == 0
    alone = Scan(
        **{
            "kspace": radial_scan.kspace[:, :, readouts],
            "trajectory": radial_scan.trajectory[:, readouts],
            "times": radial_scan.times[:, readouts],
            "frame": np.zeros((1, int(readouts.sum())), int),
            "matrix": radial_scan.matrix,
            "fov_mm": radial_scan.fov_mm,
            "slice_thickness_mm": radial_scan.slice_thickness_mm,
            "noise": radial_scan.noise,
        }
    )
    for cyclic in ("cyclic=no", "cyclic=yes"):
        assert np.isfinite(run(alone, "grasp", cyclic, "iterations=2").cine.data).all()


@pytest.mark.parametrize("cyclic", [False, True])
def test_differences_and_their_adjoint(cyclic: bool) -> None:
    splitting = TemporalVariation(5, 1.0, cyclic, CPU)
    x, target = random_complex(5, 3, 4), torch.zeros(())
    differences = splitting.parts(x, target)
    assert len(differences) == (5 if cyclic else 4)
    torch.testing.assert_close(differences[:4], x[1:] - x[:-1])
    if cyclic:
        torch.testing.assert_close(differences[4], x[0] - x[4])
    y = random_complex(*differences.shape, seed=1)
    left, right = (
        torch.vdot(y.flatten(), differences.flatten()),
        torch.vdot(splitting.adjoint(y).flatten(), x.flatten()),
    )
    torch.testing.assert_close(left, right)
    modes = splitting.modes.to(x.dtype)
    gram = torch.tensordot(modes * splitting.eigenvalues, torch.tensordot(modes.T, x, 1), 1)
    torch.testing.assert_close(gram, splitting.adjoint(differences), rtol=1e-4, atol=1e-5)
    assert splitting.cost(differences) == pytest.approx(float(differences.abs().sum()), rel=1e-5)


def test_soft_thresholding_takes_from_the_magnitude_and_keeps_the_phase() -> None:
    x = torch.tensor([3 + 4j, 0.006 + 0j, 0j, -1j])
    torch.testing.assert_close(soft_threshold(x, 0.5), torch.tensor([2.7 + 3.6j, 0, 0, -0.5j]))
    assert TemporalVariation(3, 0.7, False, CPU).rho == pytest.approx(0.7 / ADMM_STEP)


def test_the_density_counts_samples_on_the_grid(cartesian_scan: Scan, radial_scan: Scan) -> None:
    ones = sampling_density(slice_of(cartesian_scan).prepared)
    assert ones.shape == (32, 32)
    assert float(ones.max()) == 1
    spokes = sampling_density(slice_of(radial_scan).prepared)
    assert float(spokes.max()) == float(spokes[0, 0]) > 5
    assert float(spokes[16, 16]) == 1


def test_the_unit_of_the_weight_is_the_noise_in_a_gridded_pixel(radial_scan: Scan) -> None:
    part = slice_of(radial_scan)
    noise = part.prepared.noise_std * random_complex(*part.data.kspace.shape)
    image = part.data.operator.adjoint(noise)
    assert float(image.abs().square().mean().sqrt()) == pytest.approx(part.noise_std, rel=0.05)
    assert math.isclose(part.noise_std, part.prepared.noise_std * math.sqrt(9 * 64 / 32**2), rel_tol=1e-6)


def test_a_negative_weight_is_refused() -> None:
    for pair in ("weight=-1", "ridge=-1"):
        with pytest.raises(BadRequest, match="out of range; choose 0 to"):
            build_config(GraspConfig, {}, [pair])
