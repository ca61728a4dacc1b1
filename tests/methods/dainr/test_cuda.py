"""Whole fits on a graphics card; on the CPU, where each of these tests runs too, they hold as well."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dainr.assess.scores import evaluate
from dainr.fit.loop import Fit
from dainr.fit.state import Checkpoint, Step
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr, render_series
from dainr.methods.dainr.start import start_fit, start_warped
from dainr.methods.slices import Slice
from dainr.operators.gridding import grid_frames
from dainr.prepare import prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.settings.presets import read_preset
from tests.conftest import TINY

on_cuda = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]
devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_cuda)])


def config_of(device: str, *pairs: str) -> DainrConfig:
    return build_config(DainrConfig, read_preset("default"), [*TINY, f"device={device}", "nufft=sparse", *pairs])


def started(scan: Scan, config: DainrConfig) -> Fit:
    prepared, device = prepare_slice(scan, 0, config.prepare, 0), torch.device(config.device)
    data, heldout = (frame_data(prepared, of, "sparse", device) for of in (~prepared.held_out, prepared.held_out))
    fit = start_fit(config, prepared, data, heldout, grid_frames(data))
    start_warped(fit.model, config, Slice(prepared, data))  # type: ignore[arg-type]
    return fit


@devices
def test_the_same_fit_gives_the_same_bits(radial_scan: Scan, device: str) -> None:
    first, second = (Dainr()(radial_scan, config_of(device)).cine.data for _ in range(2))
    np.testing.assert_array_equal(first, second)


@devices
def test_a_resumed_fit_is_one_that_was_never_interrupted(radial_scan: Scan, device: str) -> None:
    config, taken = config_of(device), list[Checkpoint]()

    def keep(step: Step) -> None:
        if step.step == 17:
            taken.append(step.checkpoint())

    whole, resumed = started(radial_scan, config), started(radial_scan, config)
    whole.run([keep])
    resumed.restore(taken[0])
    resumed.run()
    assert resumed.state.losses == whole.state.losses
    images = [render_series(fit.model) for fit in (whole, resumed)]  # type: ignore[arg-type]
    assert torch.equal(*images)


@devices
def test_recorded_steps_lead_to_the_same_image(radial_scan: Scan, device: str) -> None:
    config = config_of(device)
    as_they_are = replace(config, fit=replace(config.fit, record_steps=False))
    scores = [evaluate(Dainr()(radial_scan, one).cine.data, radial_scan.reference) for one in (config, as_they_are)]
    assert scores[0].whole.psnr == pytest.approx(scores[1].whole.psnr, abs=0.05)


@devices
def test_the_image_is_as_good_as_by_the_compiled_passes_of_the_cpu(radial_scan: Scan, device: str) -> None:
    on_device = Dainr()(radial_scan, config_of(device))
    on_cpu = Dainr()(radial_scan, replace(config_of("cpu"), nufft="compiled"))
    scores = [evaluate(recon.cine.data, radial_scan.reference).whole.psnr for recon in (on_device, on_cpu)]
    assert scores[0] == pytest.approx(scores[1], abs=0.2)
    errors = [recon.record["slices"][0]["fit"]["heldout_error"] for recon in (on_device, on_cpu)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_steps_are_recorded_and_wait_for_nothing(radial_scan: Scan) -> None:
    fit = started(radial_scan, config_of("cuda"))
    for _ in range(3):  # the first of a phase allocates, the second is recorded
        fit.stepper.take(fit.state)
    torch.cuda.set_sync_debug_mode("error")
    try:
        fit.stepper.take(fit.state)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert fit.stepper.recorder is not None
    assert fit.stepper.recorder.capture is not None
