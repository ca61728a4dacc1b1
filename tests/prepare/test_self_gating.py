"""Cardiac phases from the k-space centre, on a phantom that beats many times at a changing rate."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.prepare.frames import bin_phases
from dainr.prepare.self_gating import chest_at_rest, self_gated_phase
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.helper import repeated

STEP = 0.01  # s a spoke


def beats(seconds: float) -> tuple[Scan, np.ndarray]:
    """Heartbeats of 0.8 to 1.2 s, a spoke every 10 ms, without stamps; and the true phases."""
    one_beat = simulate_phantom(SimulationConfig(matrix=32, frames=100, spokes=8, coils=4, snr=30))
    n = round(seconds / STEP)
    rate = 1 + 0.2 * np.sin(np.arange(n) / 150)
    true = np.cumsum(rate * STEP) % 1
    beat = np.minimum((true * one_beat.n_readouts).astype(int), one_beat.n_readouts - 1)
    scan = replace(
        one_beat,
        kspace=one_beat.kspace[:, :, beat],
        trajectory=one_beat.trajectory[:, beat],
        times=(STEP * np.arange(n))[None],
        frame=None,
        phase=None,
        reference=None,
    )
    return scan, true


@pytest.fixture(scope="module")
def free_running() -> tuple[Scan, np.ndarray]:
    """Ten beats."""
    return beats(10)


@pytest.fixture(scope="module")
def breathing() -> tuple[Scan, np.ndarray]:
    """A minute in which the chest, at rest most of the time, rises every 4 s; and how far it has risen, 0 to 1."""
    scan, _ = beats(60)
    risen = np.sin(np.pi * scan.times[0] / 4) ** 6
    seen = 1 + np.array([0.2, 0.1, -0.15, -0.05])[:, None] * risen
    return replace(scan, kspace=(scan.kspace * seen[:, :, None]).astype(np.complex64)), risen


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


@pytest.mark.parametrize("n_bins", [2, 3, 4])
def test_of_breathing_the_bin_at_rest_is_found(breathing: tuple[Scan, np.ndarray], n_bins: int) -> None:
    scan, risen = breathing
    rest = chest_at_rest(scan.kspace[0], scan.trajectory[0], scan.times[0], n_bins)
    assert abs(rest.mean() - 1 / n_bins) < 0.01
    assert risen[rest].mean() < 0.25 * risen.mean()
    assert risen[rest].max() < 0.5


def test_frames_of_the_cycle_keep_the_readouts_at_rest(breathing: tuple[Scan, np.ndarray]) -> None:
    scan, _ = breathing
    everything, resting = bin_phases(scan, 10), bin_phases(scan, 10, respiratory_bins=3)
    assert resting.n_readouts < 0.4 * everything.n_readouts
    assert resting.n_frames == 10 and resting.readouts_per_frame.min() > 20
    assert resting.notes[-1].endswith(f" {resting.n_readouts} of 6000 readouts kept, where the chest rests")


def test_without_breathing_or_with_bins_that_make_no_sense_respiratory_bins_are_refused(
    breathing: tuple[Scan, np.ndarray], free_running: tuple[Scan, np.ndarray]
) -> None:
    scan, _ = breathing
    random = np.random.default_rng(0)
    noise = random.standard_normal(scan.kspace[0].shape) + 1j * random.standard_normal(scan.kspace[0].shape)
    with pytest.raises(BadRequest, match="no breathing is seen"):
        chest_at_rest(noise, scan.trajectory[0], scan.times[0], 4)
    short, _ = free_running
    with pytest.raises(BadRequest, match="over 40 s"):
        bin_phases(short, 10, respiratory_bins=4)
    for n_bins in (0, -3, 6001):
        with pytest.raises(BadRequest, match=f"--respiratory-bins {n_bins}"):
            bin_phases(scan, 10, respiratory_bins=n_bins)


def test_each_slice_of_a_stack_breathes_at_its_own_time(breathing: tuple[Scan, np.ndarray]) -> None:
    scan, risen = breathing
    later = np.roll(np.arange(6000), 150)
    beats = np.tile(np.linspace(0, 0.99, 100, dtype=np.float32), 60)[None]
    pair = repeated(replace(scan, phase=beats), 2)
    kspace, trajectory = pair.kspace.copy(), pair.trajectory.copy()
    kspace[1], trajectory[1] = scan.kspace[0][:, later], scan.trajectory[0][later]
    binned = bin_phases(replace(pair, kspace=kspace, trajectory=trajectory), 5, respiratory_bins=3)
    rest = [chest_at_rest(k, t, scan.times[0], 3) for k, t in zip(kspace, trajectory, strict=True)]
    assert not np.array_equal(*rest)
    for index, moved in enumerate((risen, risen[later])):
        assert binned.readouts_per_frame[index].sum() == rest[index].sum()
        assert moved[rest[index]].mean() < 0.25 * risen.mean()


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
