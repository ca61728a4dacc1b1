"""Gradient delays: found where they are known, none where there are none, and what is no spoke is refused."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.delays import Case, measure
from dainr.assess.scores import evaluate
from dainr.errors import BadRequest
from dainr.methods import get_method
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.delays import estimate_delays
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.simulate import SimulationConfig, sampling, simulate_cine, simulate_phantom

DELAYS = np.array([[0.6, 0.1], [0.1, -0.3]])  # samples, (y, x)
SHORTER = 0.97  # spokes, so that shifted ones stay within k-space
STEP = SHORTER / (2 * 48)  # cycles per pixel between samples


def directions(trajectory: np.ndarray) -> np.ndarray:
    along = trajectory[:, -1] - trajectory[:, 0]
    return along / np.linalg.norm(along, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def delayed() -> Scan:
    """A phantom whose spokes were measured beside the trajectory that the file tells."""
    with pytest.MonkeyPatch.context() as patch:
        nominal = sampling.radial

        def shifted(*arguments):
            trajectory, frame = nominal(*arguments)
            return SHORTER * trajectory + STEP * (directions(trajectory) @ DELAYS)[:, None], frame

        patch.setattr("dainr.simulate.simulate.radial", shifted)
        scan = simulate_phantom(SimulationConfig(matrix=48, frames=8, spokes=13, coils=4))
    return replace(scan, trajectory=(SHORTER * nominal(8, 13, (48, 48))[0]).astype(np.float32)[None])


def test_known_delays_are_found(delayed: Scan) -> None:
    found = estimate_delays(delayed.kspace[0], delayed.trajectory[0])
    assert found.clear
    np.testing.assert_allclose(found.matrix, DELAYS, atol=0.05)
    np.testing.assert_allclose(found.shift, STEP * directions(delayed.trajectory[0]) @ DELAYS, atol=0.05 * STEP)


def test_without_delays_none_are_found(radial_scan: Scan) -> None:
    found = estimate_delays(radial_scan.kspace[0], radial_scan.trajectory[0])
    assert np.abs(found.matrix).max() < 0.05 and not found.clear
    prepared = prepare_slice(radial_scan, 0, PrepareConfig(), 0)
    np.testing.assert_array_equal(prepared.trajectory, radial_scan.trajectory[0])
    assert "gradient_delays_samples" not in prepared.record


def test_noise_is_no_delay(radial_scan: Scan) -> None:
    random = np.random.default_rng(0)
    noise = random.standard_normal(radial_scan.kspace.shape) + 1j * random.standard_normal(radial_scan.kspace.shape)
    assert not estimate_delays(noise[0].astype(np.complex64), radial_scan.trajectory[0]).clear


def test_an_image_that_is_not_square_has_none_either() -> None:
    series = np.zeros((4, 40, 48), np.float32)
    series[:, 10:30, 12:30] = 1
    series[:, 15:20, 20:35] = 2
    scan = simulate_cine(series, SimulationConfig(spokes=21, coils=4))
    record = prepare_slice(scan, 0, PrepareConfig(delays="estimate"), 0).record
    assert np.abs(record["gradient_delays_samples"]).max() < 0.06


def test_a_fit_takes_the_corrected_trajectory(delayed: Scan) -> None:
    plain, corrected = (prepare_slice(delayed, 0, PrepareConfig(delays=delays), 0) for delays in ("no", "auto"))
    np.testing.assert_array_equal(plain.trajectory, delayed.trajectory[0])
    moved = corrected.trajectory - plain.trajectory
    np.testing.assert_allclose(moved[:, 0], STEP * directions(plain.trajectory) @ DELAYS, atol=0.06 * STEP)


def test_a_corrected_scan_gives_a_better_image(delayed: Scan) -> None:
    method = get_method("cg-sense")
    scores = []
    for delays in ("no", "auto"):
        pairs = ["device=cpu", "nufft=finufft", f"delays={delays}"]
        config, _ = method.resolve(delayed, build_config(method.Config, {}, pairs))
        scores.append(evaluate(method(delayed, config).cine.data, delayed.reference).whole.psnr)
    assert scores[1] > scores[0] + 3


@pytest.mark.parametrize("kind", ["cartesian", "one spoke", "parallel"])
def test_what_does_not_cross_is_refused(kind: str, cartesian_scan: Scan, radial_scan: Scan) -> None:
    if kind == "cartesian":
        kspace, trajectory = cartesian_scan.kspace[0], cartesian_scan.trajectory[0]
    else:
        chosen = [0] if kind == "one spoke" else [0] * 8
        kspace, trajectory = radial_scan.kspace[0][:, chosen], radial_scan.trajectory[0][chosen]
    with pytest.raises(BadRequest, match="too few spokes cross"):
        estimate_delays(kspace, trajectory)


@pytest.mark.parametrize("order", ["golden", "half turn", "full turn", "alternating"])
@pytest.mark.parametrize("spokes", [25, 69])
@pytest.mark.parametrize("delays", [((0.6, 0.1), (0.1, -0.3)), ((-0.16, 0.0), (0.0, -0.1))])
def test_delays_are_found_in_whatever_order_the_spokes_come(order: str, spokes: int, delays: tuple) -> None:
    found = estimate_delays(*measure(Case(order, spokes), delays))
    assert found.clear and not found.turned
    np.testing.assert_allclose(found.matrix, delays, atol=0.02)


@pytest.mark.parametrize("order", ["golden", "half turn", "full turn", "alternating"])
@pytest.mark.parametrize(
    "changes", [{"beating": True}, {"snr": 15}, {"coils": 1}, {"oversampling": 1}, {"phases": 0.5}]
)
def test_perfect_spokes_are_left_as_they_are(order: str, changes: dict) -> None:
    found = estimate_delays(*measure(Case(order, 25, **changes), ((0, 0), (0, 0))))
    assert np.abs(found.matrix).max() < 0.1 and not found.clear and not found.turned


def test_phases_of_the_spokes_are_no_delays() -> None:
    delays = ((-0.5, -0.15), (-0.15, 0.2))
    found = estimate_delays(*measure(Case("golden", 69, phases=0.5), delays))
    assert found.clear
    np.testing.assert_allclose(found.matrix, delays, atol=0.02)


@pytest.mark.parametrize("delays", [((0.0, 0.0), (0.0, 0.0)), ((-0.5, -0.15), (-0.15, 0.2))])
@pytest.mark.parametrize("order", ["golden", "half turn", "full turn", "alternating"])
def test_phases_that_go_as_the_directions_are_found_beside_delays(order: str, delays: tuple) -> None:
    found = estimate_delays(*measure(Case(order, 25, turn=0.3), delays))
    assert found.turned and found.turns is not None
    np.testing.assert_allclose(found.turns.by_direction, [0.3, 0], atol=0.02)
    np.testing.assert_allclose(found.matrix, delays, atol=0.02)


def test_a_fit_takes_spokes_turned_back(radial_scan: Scan) -> None:
    along = directions(radial_scan.trajectory[0])
    turned = radial_scan.kspace * np.exp(0.4j * along[:, 1])[:, None].astype(np.complex64)
    plain, corrected, kept = (
        prepare_slice(replace(radial_scan, kspace=kspace), 0, PrepareConfig(delays=delays), 0)
        for kspace, delays in ((radial_scan.kspace, "auto"), (turned, "auto"), (turned, "no"))
    )
    assert "spoke_phase_rad" not in plain.record and "spoke_phase_rad" not in kept.record
    np.testing.assert_allclose(corrected.record["spoke_phase_rad"], [0, 0.4], atol=0.01)
    right, left = (np.linalg.norm(p.kspace * p.scale - plain.kspace * plain.scale) for p in (corrected, kept))
    assert right < 0.2 * left


@pytest.mark.parametrize("order", ["golden", "half turn", "full turn", "alternating"])
def test_large_delays_are_found_with_a_single_coil(order: str) -> None:
    delays = ((1.6, -0.2), (-0.2, 1.3))
    found = estimate_delays(*measure(Case(order, 69, coils=1), delays))
    assert found.clear and not found.turned
    np.testing.assert_allclose(found.matrix, delays, atol=0.05)
