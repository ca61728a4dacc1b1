"""Half the resolution of a prepared slice: the same object, seen through the inner half of its k-space."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dainr.operators.gridding import grid_average
from dainr.prepare import PrepareConfig, Prepared, prepare_slice
from dainr.prepare.coarse import halve
from dainr.prepare.frame_data import frame_data
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["radial", "vista"])
def scan(request: pytest.FixtureRequest) -> Scan:
    pattern = request.param
    config = SimulationConfig(spokes=41, coils=3, frames=4, matrix=64, snr=1000, pattern=pattern, acceleration=2)
    return frames_as_stored(simulate_phantom(config))


def image(prepared: Prepared) -> np.ndarray:
    nufft = "sparse"
    return grid_average(frame_data(prepared, ~prepared.held_out, nufft, CPU)).numpy()


def test_a_coarse_pixel_is_the_mean_of_the_four_it_stands_for(scan: Scan) -> None:
    prepared = prepare_slice(scan, 0, PrepareConfig(), 0)
    coarse = halve(prepared)
    assert coarse is not None
    assert coarse.matrix == (32, 32)
    fine = image(prepared)
    expected = fine.reshape(32, 2, 32, 2).mean((1, 3))
    found = image(coarse)
    aligned = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    moved = np.linalg.norm(found - np.roll(expected, 1, 1)) / np.linalg.norm(expected)
    assert aligned < 0.25
    assert moved > 1.5 * aligned


def test_held_out_readouts_stay_held_out(scan: Scan) -> None:
    prepared = prepare_slice(scan, 0, PrepareConfig(holdout=0.2), 0)
    coarse = halve(prepared)
    assert coarse is not None
    assert coarse.held_out.any()
    assert coarse.held_out.sum() <= prepared.held_out.sum()
    assert coarse.noise_std == pytest.approx(prepared.noise_std / 2)


def test_a_coarse_slice_has_the_few_coils_that_hold_most_of_it(scan: Scan) -> None:
    prepared = prepare_slice(scan, 0, PrepareConfig(coil_loss=0.0), 0)
    twice = replace(
        prepared,
        kspace=np.concatenate([prepared.kspace, 0.6 * prepared.kspace]),  # what one coil sees, another sees as well
        coil_maps=np.concatenate([prepared.coil_maps, 0.6 * prepared.coil_maps]),
    )
    coarse, expected = halve(twice), halve(prepared)
    assert coarse is not None
    assert expected is not None
    assert len(coarse.kspace) == len(coarse.coil_maps) == len(expected.kspace) <= 3
    whole = np.linalg.norm(twice.coil_maps.reshape(6, 32, 2, 32, 2).mean((2, 4)))
    assert 0.9 * whole < np.linalg.norm(coarse.coil_maps) <= 1.001 * whole


def test_small_and_odd_matrices_are_not_halved(radial_scan: Scan) -> None:
    assert halve(prepare_slice(frames_as_stored(radial_scan), 0, PrepareConfig(), 0)) is None
