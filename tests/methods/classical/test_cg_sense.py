"""CG-SENSE: exact where it can be, and the same for a frame whichever frames stand beside it."""

import itertools

import numpy as np
import pytest
import torch

from dainr.methods.classical.cg_sense import CgSense, CgSenseConfig
from dainr.methods.classical.iterations import Iterate
from dainr.methods.classical.solvers import conjugate_gradients
from dainr.methods.slices import Slice
from dainr.scan import Scan
from tests.helper import random_complex
from tests.methods.test_slices import run, slice_of


def iterates(part: Slice, config: CgSenseConfig, count: int) -> list[Iterate]:
    with torch.no_grad():
        return list(itertools.islice(CgSense().iterate(part, config), count))


def full_scan(n: int = 16) -> tuple[Scan, np.ndarray]:
    """Every line of two frames without noise, by the plain DFT, with the coil maps; and the images."""
    random = np.random.default_rng(0)
    images = random.standard_normal((2, n, n)) + 1j * random.standard_normal((2, n, n))
    maps = random.standard_normal((3, n, n)) + 1j * random.standard_normal((3, n, n))
    maps /= np.linalg.norm(maps, axis=0)
    position = np.arange(n) - n // 2
    dft = np.exp(-2j * np.pi * np.outer(position, position) / n) / np.sqrt(n)
    kspace = np.einsum("ky,cyx,fyx,lx->cfkl", dft, maps, images, dft).reshape(1, 3, 2 * n, n)
    grid = np.stack(np.meshgrid(position / n, position / n, indexing="ij"), -1)
    scan = Scan(
        kspace=kspace.astype(np.complex64),
        trajectory=np.tile(grid, (2, 1, 1))[None].astype(np.float32),
        times=np.arange(2.0 * n)[None],
        matrix=(n, n),
        fov_mm=(100.0, 100.0),
        slice_thickness_mm=5.0,
        frame=np.repeat([0, 1], n)[None],
        coil_maps=maps[None].astype(np.complex64),
        noise=np.eye(3, dtype=np.complex64).repeat(8, 1) * np.sqrt(3),  # unit covariance
    )
    return scan, images


def test_full_sampling_without_noise_gives_the_images_themselves() -> None:
    scan, images = full_scan()
    found = run(scan, "cg-sense", "ridge=0", "tolerance=1e-6", "coil_loss=0").cine.data[0]
    np.testing.assert_allclose(found, images, rtol=0, atol=1e-4)


def test_every_frame_is_solved_as_if_alone() -> None:
    matrix = torch.block_diag(*[random_complex(4, 4, seed=seed) for seed in (1, 2)])
    matrix = matrix @ matrix.mH + 0.1 * torch.eye(8)
    b = random_complex(2, 2, 2)
    b[1] *= 1e4
    solve = conjugate_gradients(lambda x: (matrix @ x.flatten()).reshape(2, 2, 2), b, lambda x: x, each_frame=True)
    x, residual = next(itertools.islice(solve, 4, None))
    assert float((residual.flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)).max()) < 1e-3
    torch.testing.assert_close((matrix @ x.flatten()).reshape(2, 2, 2), b - residual, rtol=1e-3, atol=1e-3)
    joint = conjugate_gradients(lambda x: (matrix @ x.flatten()).reshape(2, 2, 2), b, lambda x: x, each_frame=False)
    _, residual = next(itertools.islice(joint, 4, None))
    assert float(residual[0].norm() / b[0].norm()) > 0.1


def test_the_objective_is_the_one_stated_and_the_weight_shrinks_the_image(radial_scan: Scan) -> None:
    part, config = slice_of(radial_scan), CgSenseConfig(ridge=200.0)
    last = iterates(part, config, 12)[-1]
    misfit = part.data.operator(last.images) - part.data.kspace
    mu = 200.0 * part.prepared.noise_std**2
    stated = 0.5 * float(misfit.abs().square().sum()) + 0.5 * mu * float(last.images.abs().square().sum())
    assert last.objective == pytest.approx(stated, rel=1e-3)
    gradient = part.data.operator.adjoint(misfit) + mu * last.images
    assert float(gradient.norm()) < 1e-3 * float(part.data.operator.adjoint(part.data.kspace).norm())
    assert iterates(part, CgSenseConfig(ridge=1e6), 4)[-1].images.norm() < 0.2 * last.images.norm()
