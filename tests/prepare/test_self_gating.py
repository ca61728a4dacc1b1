"""Cardiac phases from the k-space centre, on a phantom that beats many times at a changing rate."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.prepare.frames import bin_phases
from dainr.prepare.self_gating import self_gated_phase
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

STEP = 0.01  # s a spoke


@pytest.fixture(scope="module")
def free_running() -> tuple[Scan, np.ndarray]:
    """Ten beats of 0.8 to 1.2 s, a spoke every 10 ms, without stamps; and the true phases."""
    one_beat = simulate_phantom(SimulationConfig(matrix=32, frames=100, spokes=8, coils=4, snr=30))
    rate = 1 + 0.2 * np.sin(np.arange(1000) / 150)
    true = np.cumsum(rate * STEP) % 1
    beat = np.minimum((true * one_beat.n_readouts).astype(int), one_beat.n_readouts - 1)
    scan = replace(
        one_beat,
        kspace=one_beat.kspace[:, :, beat],
        trajectory=one_beat.trajectory[:, beat],
        times=(STEP * np.arange(1000))[None],
        frame=None,
        phase=None,
        reference=None,
    )
    return scan, true


def spread(phase: np.ndarray, true: np.ndarray) -> float:
    """Root mean square distance on the circle, the unknown phase of the trigger left aside."""
    turned = np.exp(2j * np.pi * (phase - true))
    return float(np.sqrt(np.mean(np.angle(turned / turned.mean()) ** 2)) / (2 * np.pi))


def test_phases_follow_the_beating_heart(free_running: tuple[Scan, np.ndarray]) -> None:
    scan, true = free_running
    phase = self_gated_phase(scan.kspace[0], scan.trajectory[0], scan.times[0])
    assert (phase >= 0).all() and (phase < 1).all()
    assert spread(phase, true) < 0.05


def test_the_order_of_the_readouts_does_not_matter(free_running: tuple[Scan, np.ndarray]) -> None:
    scan, true = free_running
    order = np.random.default_rng(0).permutation(1000)
    phase = self_gated_phase(scan.kspace[0][:, order], scan.trajectory[0][order], scan.times[0][order])
    assert spread(phase, true[order]) < 0.05


def test_a_scan_without_stamps_is_binned_by_what_its_centre_shows(free_running: tuple[Scan, np.ndarray]) -> None:
    scan, _ = free_running
    binned = bin_phases(scan, 20)
    assert binned.n_frames == 20 and binned.cyclic
    assert "as the k-space centre shows it of " in binned.notes[-1]
    assert binned.readouts_per_frame.min() > 20


def test_noise_is_no_heartbeat(free_running: tuple[Scan, np.ndarray]) -> None:
    scan, _ = free_running
    random = np.random.default_rng(0)
    noise = random.standard_normal(scan.kspace.shape) + 1j * random.standard_normal(scan.kspace.shape)
    with pytest.raises(BadRequest, match="no heartbeat is seen"):
        self_gated_phase(noise[0], scan.trajectory[0], scan.times[0])


def test_lines_and_short_scans_are_refused(free_running: tuple[Scan, np.ndarray], cartesian_scan: Scan) -> None:
    scan, _ = free_running
    first = slice(0, 200)
    for kspace, trajectory, times in (
        (cartesian_scan.kspace[0], cartesian_scan.trajectory[0], cartesian_scan.times[0]),
        (scan.kspace[0][:, first], scan.trajectory[0][first], scan.times[0][first]),
        (scan.kspace[0], scan.trajectory[0], np.zeros(1000)),
    ):
        with pytest.raises(BadRequest, match="stores no cardiac phases"):
            self_gated_phase(kspace, trajectory, times)
