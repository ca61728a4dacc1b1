"""The path of a graphics card, as far as a CPU can show it.

In plain torch it computes what the compiled passes do; on the device without values all of it stays there, and a step
reads and uploads nothing; and a step that is recorded goes on as one that is not.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dainr.assess.scores import evaluate
from dainr.fields.lookup import lookup_at_pixels
from dainr.fit.loop import Fit
from dainr.fit.recorded import Recorder
from dainr.kernels import sparse
from dainr.kernels.compiling import plain_torch
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr, render_series
from dainr.methods.dainr.start import start_fit, start_warped
from dainr.methods.slices import Slice
from dainr.networks.condition import trunk_features
from dainr.networks.restorer import Restorer
from dainr.networks.weights import load_encoder
from dainr.operators import FrameData, nufft
from dainr.operators.gridding import grid_frames
from dainr.prepare import Prepared, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.settings.presets import read_preset
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.tape import OneDevice, Tape

PRESETS = ("default", "fast", "hash", "paper")
POINTWISE = ("hash", "paper")
CPU, META = torch.device("cpu"), torch.device("meta")
MOMENTS = (0.0, 0.15, 0.3, 0.5, 0.65, 0.9)  # in every phase of the objective
STARTING = 30  # values that are read before a fit: losses of the coarse one, every tenth, and what the data is like
OPERATIONS = {"default": 340, "fast": 330, "hash": 260, "paper": 260}  # of a step, as counted; more is a step back


@pytest.fixture(autouse=True)
def no_lookups() -> Iterator[None]:
    """Those that are kept were made for the device and the passes of another test."""
    lookup_at_pixels.cache_clear()
    yield
    lookup_at_pixels.cache_clear()


@pytest.fixture(scope="module", params=[13, 0], ids=["spokes", "lines"])
def scan(request: pytest.FixtureRequest) -> Scan:
    kind: dict[str, Any] = {"spokes": request.param} if request.param else {"pattern": "vista", "acceleration": 4}
    return simulate_phantom(SimulationConfig(matrix=32, frames=8, coils=3, **kind))


def config_of(preset: str, *pairs: str) -> DainrConfig:
    return build_config(DainrConfig, read_preset(preset), ["device=cpu", "nufft=sparse", *pairs])


def prepared(scan: Scan, config: DainrConfig) -> Prepared:
    return prepare_slice(scan, 0, config.prepare, config.seed)


def data_on(part: Prepared, device: torch.device, held_out: bool = False) -> FrameData:
    return frame_data(part, part.held_out if held_out else ~part.held_out, "sparse", device)


def started(scan: Scan, preset: str) -> Fit:
    """A fit whose every parameter is off its start, so that all of them have a gradient."""
    config = config_of(preset)
    part = prepared(scan, config)
    data = data_on(part, CPU)
    fit = start_fit(config, part, data, data_on(part, CPU, True), grid_frames(data))
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in fit.model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=random))
    return fit


def value_and_gradients(fit: Fit, moment: float) -> tuple[float, dict[str, torch.Tensor]]:
    fit.optimiser.zero_grad()
    loss = fit.loss(fit.model, fit.data.batch(fit.stepper.positions(0), moment))
    loss.backward()
    named = fit.model.named_parameters()
    return float(loss.detach()), {name: p.grad.clone() for name, p in named if p.grad is not None}


@pytest.mark.parametrize("preset", PRESETS)
def test_plain_torch_computes_what_the_compiled_passes_do(scan: Scan, preset: str) -> None:
    compiled = started(scan, preset)
    lookup_at_pixels.cache_clear()
    with plain_torch():
        plain = started(scan, preset)
    for moment in MOMENTS:
        value, gradients = value_and_gradients(compiled, moment)
        with plain_torch():
            other, others = value_and_gradients(plain, moment)
        assert other == pytest.approx(value, rel=1e-5)
        assert others.keys() == gradients.keys()
        for name, gradient in gradients.items():
            off = float((others[name] - gradient).norm() / gradient.norm().clamp(min=1e-9))
            assert off < (5e-2 if preset in POINTWISE else 1e-2), name  # the sign of a small residual may turn
        if moment == MOMENTS[-1] and preset not in POINTWISE:
            assert len(gradients) == len(list(plain.model.parameters()))


def test_a_fit_in_plain_torch_is_as_good(scan: Scan) -> None:
    config = config_of("default", "iterations=40", "coarse_steps=20", "encoder=none")
    whole = Dainr()(scan, config)
    lookup_at_pixels.cache_clear()
    with plain_torch():
        plain = Dainr()(scan, config)
    scores = [evaluate(recon.cine.data, scan.reference).whole.psnr for recon in (whole, plain)]
    assert scores[1] == pytest.approx(scores[0], abs=0.1)


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device without values, which has no sparse products."""
    module, operator, package, devices = nufft.BACKENDS["sparse"]
    monkeypatch.setitem(nufft.BACKENDS, "sparse", (module, operator, package, (*devices, "meta")))
    monkeypatch.setattr(sparse, "_plain", lambda matrix: lambda x: x.new_empty(len(matrix), x.shape[1]))


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_step_stays_on_its_device_and_is_not_waited_for(scan: Scan, preset: str) -> None:
    config = config_of(preset)
    part = prepared(scan, config)
    config = replace(config, device="meta")
    data, heldout = data_on(part, META), data_on(part, META, True)
    with OneDevice():
        fit = start_fit(config, part, data, heldout, torch.empty(8, *part.matrix, dtype=torch.complex64, device=META))
    n_frames = len(data.frames) if preset in POINTWISE else 1
    for moment in (0.0, 0.65, 0.9):
        for step in range(n_frames + 1):  # the first ones of a phase make what is kept
            fit.state.step = int(moment * config.fit.iterations) + step
            with OneDevice() as seen:
                fit.stepper.take(fit.state)
    assert (seen.reads, seen.uploads) == ([], [])
    assert sum(seen.operations.values()) <= OPERATIONS[preset]
    assert_the_rest_stays_too(fit)


@pytest.mark.usefixtures("meta")
def test_the_start_of_a_fit_stays_on_its_device(scan: Scan) -> None:
    config = config_of("default")
    part = prepared(scan, config)
    config = replace(config, device="meta")
    with OneDevice() as seen:
        data = data_on(part, META)
        fit = start_fit(config, part, data, None, grid_frames(data))
        start_warped(fit.model, config, Slice(part, data))  # type: ignore[arg-type]
    assert len(seen.reads) <= STARTING


@pytest.mark.parametrize("weights", ["mdsr_cine", "random"])
def test_the_network_stays_on_its_device(weights: str) -> None:
    network = load_encoder("mdsr", weights, 0).to(META)
    frames = torch.empty(6, 24, 20, dtype=torch.complex64, device=META)
    with OneDevice() as seen:
        if network.restores_frames:
            Restorer(network, cyclic=True)(frames)
        else:
            trunk_features(network, frames.abs())
    assert len(seen.reads) == network.restores_frames  # where it moves
    assert not seen.uploads


def assert_the_rest_stays_too(fit: Fit) -> None:
    """Validation, checkpoint, restoring and rendering, on one device; validation reads two numbers a frame at once."""
    with OneDevice() as seen:
        fit._validate()
    assert len(seen.reads) == 2
    with OneDevice() as seen:
        fit.restore(fit.checkpoint())
        render_series(fit.model)  # type: ignore[arg-type]
    assert seen.reads == []


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.3, 0.5, 0.9])
def test_recorded_steps_go_on_as_steps_do(scan: Scan, moment: float) -> None:
    with plain_torch():
        plain, recorded = started(scan, "default"), started(scan, "default")
        recorded.stepper.record(Recorder(as_a_card_does(recorded)))
        rates = []
        for fit in (plain, recorded):
            fit.state.step = int(moment * fit.config.iterations)
            for _ in range(5):
                loss, rate = fit.stepper.take(fit.state)
                fit.state.step += 1
                rates.append((float(loss), rate))
    for one, other in zip(rates[:5], rates[5:], strict=True):
        assert other == pytest.approx(one, rel=1e-5)  # a rate on the device is in single precision
    assert recorded.stepper.recorder is not None
    assert recorded.stepper.recorder.phase == recorded.loss.phase(moment)  # type: ignore[attr-defined]
    tensors, others = plain.checkpoint().tensors, recorded.checkpoint().tensors
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        truth, found = (one.numpy().astype(np.complex128) for one in (tensor, others[name]))
        off = np.linalg.norm(found - truth) / max(np.linalg.norm(truth), 1e-9)
        assert off < 0.05, name  # where a gradient is as good as zero, AdamW takes the sign of its rounding


def as_a_card_does(fit: Fit) -> Any:
    """A capture that leaves everything as it was before the step was recorded, as a CUDA graph's does."""

    def capture(take: Any) -> Any:
        state = fit.loss.state()  # type: ignore[attr-defined]
        slots = [slot for one in fit.optimiser.state.values() for slot in one.values()]
        changed = [*fit.model.state_dict().values(), *slots, *state.values()]
        before = [tensor.detach().clone() for tensor in changed]
        with Tape() as tape:
            loss = take()
        with torch.no_grad():
            for tensor, value in zip(changed, before, strict=True):
                tensor.copy_(value)

        def play() -> torch.Tensor:
            tape.play()
            return loss

        return play

    return capture
