"""What one step of a fit costs, beside the arithmetic it must do.

    python benchmarks/step.py SCAN [--preset paper] [--set key=value ...]

The arithmetic is each part on its own, inputs ready, forward and backward: deformation network, grid lookup, canonical
network, coil maps and NUFFT with the adjoint, L1, AdamW. The step is the one the fit takes. Both are medians of runs
that take turns.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import Tensor

from dainr.features.maps import mdsr_features
from dainr.features.mdsr import load_mdsr
from dainr.fields.cine import CineField
from dainr.fields.frequency import frequency_encode
from dainr.fit import Fit
from dainr.io import load
from dainr.losses import l1_loss
from dainr.methods.common import frame_data, grid_frames
from dainr.methods.dainr import Dainr, DainrConfig, build_field
from dainr.prepare import prepare_slice
from dainr.prepare.frames import frames_as_stored
from dainr.settings import build_config, read_preset

ROUNDS = 25


def main() -> None:
    """Print a row per part, their sum, the step and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--set", dest="pairs", action="append", default=[])
    arguments = parser.parse_args()
    scan = frames_as_stored(load(arguments.scan)).select_slices([0])
    config, _ = Dainr().resolve(scan, build_config(DainrConfig, read_preset(arguments.preset), arguments.pairs))
    prepared = prepare_slice(scan, 0, config.prepare, config.seed)
    data = frame_data(prepared, ~prepared.held_out, config.nufft, torch.device(config.device))
    features = None
    if config.features == "mdsr":
        features = mdsr_features(load_mdsr(config.mdsr_weights, config.seed), grid_frames(data).abs())
    model = build_field(config, prepared.frame_times.tolist(), prepared.matrix, features)
    fit = Fit(model, l1_loss, data, None, config.fit, config.seed)
    parts = arithmetic(model, fit)
    parts["the step"] = lambda: step(fit)
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(ROUNDS):
        for name, part in parts.items():
            start = time.perf_counter()
            part()
            seconds[name].append(time.perf_counter() - start)
    report({name: 1e3 * float(np.median(values[3:])) for name, values in seconds.items()})


def step(fit: Fit) -> None:
    """One step as the fit takes it."""
    batch = fit.data.batch(fit._frame(fit.state.step))
    fit.optimizer.zero_grad(set_to_none=True)
    loss = fit.loss(fit.model, batch)
    loss.backward()
    fit.optimizer.step()
    fit.state.step += 1


def arithmetic(model: CineField, fit: Fit) -> dict[str, Callable[[], None]]:
    """The parts a step is made of, each with its inputs ready."""
    pixels, space, encoded = model._encodings(model.matrix)
    time_ = torch.full((1, 1), 0.5)
    batch = fit.data.batch(0)
    deformed = (0.5 * (pixels + 1)).requires_grad_()
    lookup = model.canonical.grid(deformed).detach().requires_grad_()
    condition = [] if model.features is None else [model.features.at(1.0, model.matrix)]
    inputs = [lookup, space, frequency_encode(time_, model.canonical.config.degree_t), *condition]
    image = torch.randn(1, *model.matrix, dtype=torch.complex64, requires_grad=True)
    samples = batch.operator(image).detach().requires_grad_()
    values = torch.randn(len(pixels), 2)

    def network() -> None:
        _backward(model.canonical.value([model.canonical.geometry(inputs)]), values)

    def l1() -> None:
        r = samples - batch.kspace
        (batch.density * (r.real.abs() + r.imag.abs())).mean().backward()

    parts: dict[str, Callable[[], None]] = {}
    if model.deformation is not None:
        deformation = model.deformation
        parts["deformation network"] = lambda: _backward(deformation(encoded, time_), values)
    parts |= {
        "grid lookup": lambda: _backward(model.canonical.grid(deformed), lookup.detach()),
        "canonical network": network,
        "coil maps and NUFFT": lambda: _backward(batch.operator(image), samples.detach()),
        "L1": l1,
    }
    if condition:
        assert model.features is not None
        maps = model.features
        parts["features of the frame"] = lambda: _discard(maps.at(1.0, model.matrix))
    parts["AdamW"] = lambda: _discard(fit.optimizer.step())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    return parts


def report(milliseconds: dict[str, float]) -> None:
    """Print the table."""
    whole = milliseconds.pop("the step")
    for name, value in milliseconds.items():
        print(f"{name:24s} {value:8.1f} ms")
    total = sum(milliseconds.values())
    print(f"{'sum of the parts':24s} {total:8.1f} ms")
    print(f"{'the step':24s} {whole:8.1f} ms   {whole / total:.2f} x the arithmetic")


def _backward(output: Tensor, gradient: Tensor) -> None:
    output.backward(gradient)


def _discard(_: object) -> None:
    return


if __name__ == "__main__":
    main()
