"""What all iterative methods share: better than gridding, stopped in time, watched, recorded, done after a resume."""

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dainr.assess.scores import evaluate
from dainr.assess.verdict import judge
from dainr.errors import BadRequest, BadScan, Diverged, Interrupted
from dainr.fit.state import FitState, RunState, Step
from dainr.methods import get_method
from dainr.methods.recon import Recon
from dainr.methods.slices import Slice
from dainr.prepare import prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.report import build_report
from dainr.runs.folder import REPORT, STATE, RunFolder
from dainr.runs.run import Request, load_run, reconstruct_into
from dainr.scan import Scan
from dainr.settings.build import build_config
from tests.methods.classical.test_gridding import grid, stack

gridded_once = functools.cache(grid)
ITERATIVE = ("grasp", "l+s", "cg-sense")
each = pytest.mark.parametrize("name", ITERATIVE)


def run(scan: Scan, name: str, *pairs: str, observers: Any = (), resume: RunState | None = None) -> Recon:
    method = get_method(name)
    config, _ = method.resolve(scan, build_config(method.Config, {}, ["nufft=finufft", "device=cpu", *pairs]))
    return method(scan, config, observers, resume)


@functools.cache
def slice_of(scan: Scan) -> Slice:
    prepared = prepare_slice(scan, 0, build_config(get_method("grasp").Config, {}, ["holdout=0"]).prepare, 0)
    return Slice(prepared, frame_data(prepared, ~prepared.held_out, "finufft", torch.device("cpu")))


def how(recon: Recon, index: int = 0) -> dict[str, Any]:
    return recon.record["slices"][index]["iterations"]


@each
@pytest.mark.parametrize("kind", ["radial_scan", "cartesian_scan"])
def test_every_method_beats_gridding(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    scan = request.getfixturevalue(kind)
    recon, gridded = run(scan, name), gridded_once(scan)
    assert recon.cine.data.dtype == np.complex64
    assert (recon.method, recon.fields, recon.histories) == (name, (), ())
    ours, theirs = evaluate(recon.cine.data, scan.reference), evaluate(gridded.cine.data, scan.reference)
    assert ours.whole.psnr > theirs.whole.psnr + 1
    assert ours.dynamic.psnr > theirs.dynamic.psnr + 1
    np.testing.assert_array_equal(recon.gridded, gridded.gridded)
    error = np.linalg.norm(np.abs(recon.cine.data) - scan.reference) / np.linalg.norm(scan.reference)
    assert error < 0.35  # in the units of the scan, no scale fitted


@each
def test_it_stops_when_it_has_converged_and_at_its_limits(name: str, radial_scan: Scan) -> None:
    loose, tight = run(radial_scan, name, "tolerance=0.05"), run(radial_scan, name, "tolerance=0.005")
    assert how(loose)["stopped"] == how(tight)["stopped"] == "converged"
    assert 1 < how(loose)["steps"] < how(tight)["steps"] < 50
    assert how(tight)["objective"] < how(loose)["objective"]
    limited = run(radial_scan, name, "tolerance=0", "iterations=2")
    assert (how(limited)["steps"], how(limited)["stopped"]) == (2, "budget")
    assert judge(limited.record)[1].text.startswith("It ended after 2 iterations, before it had converged")
    assert len(judge(tight.record)) == 1
    hurried = run(radial_scan, name, "tolerance=0", "iterations=0", "budget_s=0.05")
    assert how(hurried)["stopped"] == "budget"


@each
def test_the_same_scan_gives_the_same_cine_in_any_units(name: str, radial_scan: Scan) -> None:
    first, again = run(radial_scan, name, "iterations=3"), run(radial_scan, name, "iterations=3")
    np.testing.assert_array_equal(first.cine.data, again.cine.data)
    assert radial_scan.noise is not None
    louder = replace(radial_scan, kspace=8 * radial_scan.kspace, noise=8 * radial_scan.noise)  # without rounding
    np.testing.assert_allclose(run(louder, name, "iterations=3").cine.data, first.cine.data, rtol=1e-3, atol=0.05)


@each
def test_observers_see_every_iteration_and_may_end_them(name: str, radial_scan: Scan) -> None:
    steps: list[Step] = []

    def watch(step: Step) -> bool:
        steps.append(step)
        return len(steps) < 3

    recon = run(stack(radial_scan, radial_scan.kspace), name, "tolerance=0", observers=[watch])
    assert [s.step for s in steps] == [1, 2, 3]
    assert [s.stopped for s in steps] == ["", "", ""]
    assert (how(recon)["stopped"], recon.cine.data.shape[0], steps[0].n_slices) == ("interrupted", 1, 2)
    assert steps[2].loss == how(recon)["objective"] < steps[0].loss
    assert 0 < steps[0].progress < steps[2].progress < 1
    assert steps[0].seconds_left > 0
    part = slice_of(radial_scan)
    scale = part.prepared.scale
    for position in range(6):
        image = steps[2].model(part.data.batch([position]))
        np.testing.assert_allclose(scale * image[0].numpy(), recon.cine.data[0, position], rtol=1e-5)


def test_slices_that_are_done_are_not_reconstructed_again(radial_scan: Scan, tmp_path: Path) -> None:
    pair = stack(radial_scan, 2 * radial_scan.kspace)
    folder, method = RunFolder(tmp_path / "run"), get_method("grasp")
    config = build_config(method.Config, {}, ["nufft=finufft", "device=cpu", "iterations=2", "checkpoint_every_s=0"])
    request = Request("grasp", "none", "scan.h5", "0" * 64)
    seen: list[tuple[int, int]] = []

    def watch(step: Step) -> None:
        seen.append((step.slice, step.step))

    with pytest.raises(Interrupted):
        reconstruct_into(folder, pair, request, config, [watch], stop_requested=lambda: len(seen) == 2)
    assert seen == [(0, 1), (0, 2)]
    assert folder.read_record()["status"] == "interrupted"
    seen.clear()
    resumed = RunFolder(tmp_path / "run")
    recon = reconstruct_into(resumed, pair, request, config, [watch], resume=True)
    assert seen == [(1, 1), (1, 2)]
    undisturbed = run(pair, "grasp", "iterations=2")
    np.testing.assert_array_equal(recon.cine.data, undisturbed.cine.data)
    assert not resumed.file(STATE).exists()
    assert how(recon)["steps"] == 2
    np.testing.assert_array_equal(load_run(resumed.path).cine.data, recon.cine.data)


@each
def test_a_run_leaves_a_cine_and_a_report_that_names_the_method(name: str, radial_scan: Scan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    config = build_config(get_method(name).Config, {}, ["nufft=finufft", "device=cpu", "iterations=2"])
    recon = reconstruct_into(folder, radial_scan, Request(name, "none", "scan.h5", "0" * 64), config)
    assert folder.is_complete
    assert not folder.file(STATE).exists()
    loaded = load_run(folder.path)
    np.testing.assert_array_equal(loaded.cine.data, recon.cine.data)
    html = folder.file(REPORT).read_text()
    assert html == build_report(loaded, folder.read_config(), folder.read_record())
    assert "2 iterations in" in html
    assert "their limit was reached" in html
    with pytest.raises(BadRequest, match="fits no continuous field"):
        loaded.render(n_frames=12)


@each
@pytest.mark.parametrize("pair", ["iterations=0", "iterations=-1", "budget_s=-1", "tolerance=-1"])
def test_limits_out_of_range_are_refused(name: str, pair: str) -> None:
    with pytest.raises(BadRequest, match=r"out of range|nothing else ends"):
        build_config(get_method(name).Config, {}, [pair])


@each
def test_an_objective_that_is_not_finite_is_an_error(name: str, radial_scan: Scan) -> None:
    method = get_method(name)
    part = slice_of(radial_scan)
    kspace = part.data.kspace.clone()
    kspace[0, 0] = math.nan
    part = replace(part, data=replace(part.data, kspace=kspace))
    with pytest.raises(Diverged, match="its objective is nan after iteration 1"):
        method.reconstruct(part, build_config(method.Config, {}), ())


def test_gridding_has_no_iterations(radial_scan: Scan) -> None:
    assert get_method("gridding").reconstruct(slice_of(radial_scan), None, ())[1] == FitState()
    with pytest.raises(BadScan, match="not binned"):
        get_method("grasp")(replace(radial_scan, frame=None), get_method("grasp").Config(device="cpu"))
