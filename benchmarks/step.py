"""What one step of a fit costs, beside the arithmetic it must do.

    python benchmarks/step.py SCAN [--preset default] [--set key=value ...]

The arithmetic is each part on its own, inputs ready, forward and backward. The step is the one the fit takes, half way
through its budget, when everything is in it. Both are medians of runs that take turns.
"""

import dainr  # noqa: F401 - before torch, for it decides how threads wait

# isort: split
import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dainr.fields.frequency import frequency_encode
from dainr.fields.pointwise import PointwiseField
from dainr.fields.warped import GAIN, Series, WarpedCine
from dainr.fit.loop import Fit
from dainr.io import load
from dainr.kernels.warp import warp
from dainr.losses.robust import huber_data
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr
from dainr.methods.dainr.objective import Objective
from dainr.methods.dainr.start import start_fit
from dainr.operators import Batch
from dainr.operators.gridding import grid_frames
from dainr.prepare import prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.prepare.frames import frames_as_stored
from dainr.settings.build import build_config
from dainr.settings.presets import DEFAULT_PRESET, read_preset

ROUNDS, PROGRESS = 25, 0.5
Parts = dict[str, Callable[[], None]]


def main() -> None:
    """Print a row per part, their sum, the step and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan")
    parser.add_argument("--preset", default=DEFAULT_PRESET)
    parser.add_argument("--set", dest="pairs", action="append", default=[])
    arguments = parser.parse_args()
    scan = frames_as_stored(load(arguments.scan)).select_slices([0])
    config, _ = Dainr().resolve(scan, build_config(DainrConfig, read_preset(arguments.preset), arguments.pairs))
    prepared = prepare_slice(scan, 0, config.prepare, config.seed)
    data = frame_data(prepared, ~prepared.held_out, config.nufft, torch.device(config.device))
    fit = start_fit(config, prepared, data, None, grid_frames(data))
    batch = data.batch(fit.stepper.positions(0), PROGRESS)
    step(fit)  # so that every parameter has a gradient for the optimiser's own row
    if isinstance(fit.model, WarpedCine):
        assert isinstance(fit.loss, Objective)
        parts = warped_parts(fit.model, fit.loss, batch)
    else:
        assert isinstance(fit.model, PointwiseField)
        parts = pointwise_parts(fit.model, batch)
    parts["optimiser"] = lambda: _discard(fit.optimiser.step())
    parts["the step"] = lambda: step(fit)
    report(clock(parts, torch.device(config.device)))


def step(fit: Fit) -> None:
    """One step as the fit takes it."""
    batch = fit.data.batch(fit.stepper.positions(fit.state.step), PROGRESS)
    fit.optimiser.zero_grad()
    loss = fit.loss(fit.model, batch)
    float(loss.detach())
    loss.backward()
    fit.optimiser.step()
    fit.state.step += 1


def warped_parts(model: WarpedCine, objective: Objective, batch: Batch) -> Parts:
    """Canonical maps, their mixture with the innovation, the warp, coil maps, data term and priors."""
    frames, matrix, config = [float(f) for f in batch.frames], model.matrix, objective.config
    with torch.no_grad():
        values, coil_maps, rendered = model.values(), model.coil_maps(), model.series(frames, matrix)
    images, canonical, control, maps = map(_leaf, (rendered.images, rendered.canonical, rendered.control, coil_maps))
    space = _leaf(torch.randn(model.config.maps, *matrix, dtype=torch.complex64, device=images.device))
    mixing = _leaf(torch.randn(len(frames), model.config.maps, dtype=torch.complex64, device=images.device))
    shown = Series(images, canonical, control)
    weight = objective._weight(batch)

    def mixture() -> Tensor:
        return torch.add(torch.einsum("tk,kyx->tyx", mixing, space), model._innovation(frames, matrix), alpha=GAIN)

    def data_term() -> None:
        huber_data(images, maps, batch, weight, objective.noise_std, config.threshold).backward()

    return {
        "canonical maps": lambda: _backward(model.values(), values),
        "mixture and innovation": lambda: _backward(mixture(), rendered.canonical),
        "warp": lambda: _backward(warp(canonical, model._displacement(control, matrix)), rendered.images),
        "coil maps": lambda: _backward(model.coil_maps(), coil_maps),
        "data term": data_term,
        "priors": lambda: objective._priors(model, shown, frames, batch, 1 / images.numel()).backward(),
    }


def pointwise_parts(model: PointwiseField, batch: Batch) -> Parts:
    """Both networks, the grid between them, coil maps and NUFFT, the L1 loss, and the features of a frame."""
    pixels, space, encoded = model._encodings(model.matrix)
    time_ = torch.full((1, 1), 0.5, device=pixels.device)
    deformed = (0.5 * (pixels + 1)).requires_grad_()
    lookup = model.canonical.grid(deformed).detach().requires_grad_()
    condition = [] if model.features is None else [model.features.at(1.0, model.matrix)]
    inputs = [lookup, space, frequency_encode(time_, model.canonical.config.degree_t), *condition]
    image = torch.randn(batch.operator.n_frames, *model.matrix, dtype=torch.complex64, device=pixels.device)
    image.requires_grad_()
    samples = batch.operator(image).detach().requires_grad_()
    values = torch.randn(len(pixels), 2, device=pixels.device)

    def l1() -> None:
        r = samples - batch.kspace
        (batch.density * (r.real.abs() + r.imag.abs())).mean().backward()

    parts: Parts = {
        "grid lookup": lambda: _backward(model.canonical.grid(deformed), lookup.detach()),
        "canonical network": lambda: _backward(model.canonical.value([model.canonical.geometry(inputs)]), values),
        "coil maps and NUFFT": lambda: _backward(batch.operator(image), samples.detach()),
        "L1": l1,
    }
    if model.deformation is not None:
        deformation = model.deformation
        parts["deformation network"] = lambda: _backward(deformation(encoded, time_), values)
    if model.features is not None:
        maps = model.features
        parts["features of the frame"] = lambda: _discard(maps.at(1.0, model.matrix))
    return parts


def clock(parts: Parts, device: torch.device) -> dict[str, tuple[float, float]]:
    """Milliseconds and busy cores of each part, medians; all take turns."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
    for _ in range(ROUNDS):
        for name, part in parts.items():
            start, busy = time.perf_counter(), time.process_time()
            part()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            took = time.perf_counter() - start
            seconds[name].append((1e3 * took, (time.process_time() - busy) / took))
    medians = {name: np.median(values[3:], axis=0) for name, values in seconds.items()}
    return {name: (float(took), float(cores)) for name, (took, cores) in medians.items()}


def report(measured: dict[str, tuple[float, float]]) -> None:
    """Print the table."""
    whole, busy = measured.pop("the step")
    for name, (took, cores) in measured.items():
        print(f"{name:24s} {took:8.1f} ms   {cores:.1f} cores busy")
    total = sum(took for took, _ in measured.values())
    print(f"{'sum of the parts':24s} {total:8.1f} ms")
    print(f"{'the step':24s} {whole:8.1f} ms   {busy:.1f} cores busy, {whole / total:.2f} x the arithmetic")


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_()


def _backward(output: Tensor, gradient: Tensor) -> None:
    output.backward(gradient)


def _discard(_: object) -> None:
    return


if __name__ == "__main__":
    main()
