"""Signal outside the field of view: taken out where it clearly is, and nothing where it is not."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.methods import get_method
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frames import frames_as_stored
from dainr.prepare.outside import estimate_outside
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.simulate.phantom import still_ellipse

PLAIN = SimulationConfig(spokes=13, frames=10, coils=4, matrix=64)


def with_fat(config: SimulationConfig, at: float = 0.6, density: float = 1.0) -> Scan:
    """The phantom beside a bright ellipse, as many fields of view from the middle."""
    return frames_as_stored(simulate_phantom(config, [still_ellipse(density, (0.0, at), (0.12, 0.06))]))


def outside_of(scan: Scan, **settings: str) -> float | None:
    record = prepare_slice(scan, 0, PrepareConfig(**settings), 0).record  # type: ignore[arg-type]
    return record.get("outside_energy")


@pytest.mark.parametrize(("at", "density"), [(0.6, 1.0), (0.8, 0.8), (0.6, 0.4)])
def test_what_is_left_is_what_a_scan_without_it_would_have_measured(at: float, density: float) -> None:
    enough = replace(PLAIN, frames=20)
    scan, plain = with_fat(enough, at, density), frames_as_stored(simulate_phantom(enough))
    assert scan.frame is not None
    added = scan.kspace[0] - plain.kspace[0]
    seen = np.arange(scan.n_readouts) % 9 > 0
    k = np.hypot(*np.moveaxis(scan.trajectory[0], -1, 0)).astype(np.float32)
    found = estimate_outside(scan.kspace[0], scan.trajectory[0], k, scan.matrix, seen)
    assert found is not None
    for readouts in (seen, ~seen):
        left = np.linalg.norm((k**0.5 * (added - found.kspace))[:, readouts])
        assert left < 0.3 * np.linalg.norm((k**0.5 * added)[:, readouts])
    assert found.share == pytest.approx(np.sum(k * abs(added) ** 2) / np.sum(k * abs(scan.kspace[0]) ** 2), rel=0.1)


@pytest.mark.parametrize(
    "config",
    [PLAIN, replace(PLAIN, spokes=3), replace(PLAIN, frames=3), replace(PLAIN, snr=8.0), replace(PLAIN, coils=1)],
)
def test_where_nothing_clearly_lies_outside_nothing_is_taken(config: SimulationConfig) -> None:
    assert outside_of(frames_as_stored(simulate_phantom(config))) is None


def test_spokes_that_do_not_hold_twice_the_field_of_view_and_lines_are_left_alone(cartesian_scan: Scan) -> None:
    scan = with_fat(PLAIN)
    assert outside_of(scan) is not None
    assert outside_of(scan, outside="keep") is None
    every_other = replace(scan, kspace=scan.kspace[..., ::2], trajectory=scan.trajectory[:, :, ::2])
    assert outside_of(every_other) is None
    assert outside_of(cartesian_scan) is None


def test_the_images_are_those_of_a_scan_without_it() -> None:
    scan, plain = with_fat(PLAIN), frames_as_stored(simulate_phantom(PLAIN))
    method = get_method("cg-sense")

    def images(scan: Scan, outside: str) -> np.ndarray:
        config = build_config(method.Config, {}, ["device=cpu", "nufft=finufft", f"outside={outside}"])
        return np.abs(method(replace(scan, reference=None), config).cine.data)

    wanted = images(plain, "auto")
    kept, taken = (np.linalg.norm(images(scan, how) - wanted) / np.linalg.norm(wanted) for how in ("keep", "auto"))
    assert taken < 0.1 < kept
