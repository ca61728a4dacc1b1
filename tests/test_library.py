"""The program as a library."""

from dataclasses import replace

import numpy as np
import pytest

import dainr
from dainr.errors import BadRequest
from dainr.fit.config import FitConfig
from dainr.fit.state import Step
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from tests.helper import on_disk, repeated

SMALL = {"coarse_steps": 2, "start_steps": 2, "levels": 2, "width": 8, "motion_control": 8}


def test_a_scan_is_reconstructed_as_the_settings_say(radial_scan: Scan) -> None:
    seen: list[int] = []

    def watch(step: Step) -> None:
        seen.append(step.step)

    settings = {f"warped.{k}" if k in ("levels", "width", "motion_control") else k: v for k, v in SMALL.items()}
    recon = dainr.reconstruct(radial_scan, iterations=3, device="cpu", settings=settings, observers=[watch])
    assert seen == [1, 2, 3]
    assert recon.cine.data.shape == (1, radial_scan.n_frames, *radial_scan.matrix)
    rendered = recon.render(n_frames=7, matrix=(40, 36))
    assert rendered.data.shape == (1, 7, 40, 36)


@pytest.mark.parametrize("method", ["dainr", "gridding"])
def test_what_the_slices_of_a_stack_leave_lies_on_disk(method: str, radial_scan: Scan) -> None:
    stack = repeated(replace(radial_scan, reference=None, coil_maps=None), 2)
    options = {"iterations": 2, "settings": {"coarse_steps": 0}} if method == "dainr" else {}
    recon = dainr.reconstruct(stack, method, device="cpu", **options)  # type: ignore[arg-type]
    assert recon.cine.data.shape[0] == 2 and on_disk(recon.cine.data) and on_disk(recon.gridded)
    np.testing.assert_array_equal(recon.cine.data[0], recon.cine.data[1])
    assert recon.cine.data.any()
    assert on_disk(frames_as_stored(stack).kspace)


@pytest.mark.parametrize("budget", ["0.2s", 0.2])
def test_a_budget_ends_the_fit(budget: str | float, radial_scan: Scan) -> None:
    recon = dainr.reconstruct(radial_scan, budget=budget, device="cpu", settings={"coarse_steps": 0})
    assert recon.histories[0].stopped == "budget"
    assert recon.histories[0].step < FitConfig().iterations


def test_other_methods_and_binnings_are_there(radial_scan: Scan) -> None:
    unbinned = dainr.reconstruct(radial_scan, "gridding", spokes_per_frame=2, device="cpu")
    assert unbinned.cine.data.shape[1] == radial_scan.n_readouts // 2
    sliding = dainr.reconstruct(radial_scan, "gridding", spokes_per_frame=2, every=1, device="cpu")
    images = sliding.cine.data[:, ::2], unbinned.cine.data
    assert abs(np.vdot(*images)) > 0.98 * np.linalg.norm(images[0]) * np.linalg.norm(images[1])
    assert np.abs(unbinned.cine.data).max() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"spokes_per_frame": 3, "frames_per_cycle": 4},
        {"respiratory_bins": 3},
        {"every": 3},
        {"spokes_per_frame": 3, "every": 4},
        {"budget": "soon"},
        {"preset": "best"},
        {"settings": {"iteration": 3}},
        {"method": "magic"},
    ],
)
def test_wrong_requests_are_refused(options: dict[str, object], radial_scan: Scan) -> None:
    with pytest.raises(BadRequest):
        dainr.reconstruct(radial_scan, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"every": 3}, "every: only frames of so many readouts can overlap; add spokes_per_frame."),
        ({"spokes_per_frame": 999}, "spokes_per_frame 999: "),
        ({"budget": "soon"}, "budget soon: "),
        ({"method": "magic"}, "method magic: "),
        ({"settings": {"holdout": "many"}}, "setting prepare.holdout=many: "),
    ],
)
def test_errors_name_the_arguments(options: dict[str, object], said: str, radial_scan: Scan) -> None:
    with pytest.raises(BadRequest) as raised:
        dainr.reconstruct(radial_scan, **options)  # type: ignore[arg-type]
    assert str(raised.value).startswith(said) and "--" not in str(raised.value)


def test_the_package_offers_nothing_else() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        dainr.other  # noqa: B018
