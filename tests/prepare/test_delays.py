"""Gradient delays: found where they are known, none where there are none, and what is no spoke is refused."""

from dataclasses import replace

import numpy as np
import pytest

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
