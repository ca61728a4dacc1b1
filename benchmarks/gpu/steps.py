"""Fits that a stage looks into: begun on any device, and stopped after a few of their own steps."""

import dainr  # noqa: F401 - before torch, for it decides how threads wait

# isort: split
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch

from dainr.fields.lookup import lookup_at_pixels
from dainr.fit.loop import Fit
from dainr.fit.state import Step
from dainr.kernels.compiling import plain_torch
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr
from dainr.methods.dainr.start import start_fit
from dainr.operators.gridding import grid_frames
from dainr.prepare import Prepared, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.settings.presets import read_preset

STEPS, PROGRESS = 1000, 0.7  # of a fit in which a few steps are timed: by then all terms are in it


def begin(
    scan: Scan, preset: str, device: str, pairs: Sequence[str] = (), prepared: Prepared | None = None
) -> tuple[Fit, Prepared]:
    """The fit of a scan's only slice before its first step; what was prepared for one device serves another."""
    asked = [f"device={device}", f"iterations={STEPS}", f"validate_every={10 * STEPS}", *pairs]
    config, _ = Dainr().resolve(scan, build_config(DainrConfig, read_preset(preset), asked))
    prepared = prepared or prepare_slice(scan, 0, config.prepare, config.seed)
    data = frame_data(prepared, ~prepared.held_out, config.nufft, torch.device(config.device))
    return start_fit(config, prepared, data, None, grid_frames(data)), prepared


def take_steps(
    fit: Fit, warm: int, steps: int, around: Callable[[], AbstractContextManager[object]] = nullcontext
) -> tuple[int, float]:
    """Run the fit's own loop for some steps; how many were in the context `around`, and their seconds.

    The first `warm` steps compile, allocate and record what later ones use. The loop may look up only every few steps,
    so there may be more of both.
    """
    device = fit.data.kspace.device
    fit.state.step = round(PROGRESS * STEPS)
    first = fit.state.step
    context = around()
    begun: list[tuple[int, float]] = []
    ended: list[tuple[int, float]] = []

    def watch(step: Step) -> bool:
        if not begun and step.step >= first + warm:
            synchronise(device)
            context.__enter__()
            begun.append((step.step, time.perf_counter()))
        elif begun and step.step >= begun[0][0] + steps:
            synchronise(device)
            ended.append((step.step, time.perf_counter()))
            context.__exit__(None, None, None)
            return False
        return True

    fit.run([watch])
    return ended[0][0] - begun[0][0], ended[0][1] - begun[0][1]


@contextmanager
def kernels(plain: bool) -> Iterator[None]:
    """Within it fits are begun and run with the kernels of their device, or in plain torch.

    Lookups are forgotten, for they keep the kernels they were made with.
    """
    lookup_at_pixels.cache_clear()
    with plain_torch() if plain else nullcontext():
        yield
    lookup_at_pixels.cache_clear()


def clock(work: Callable[[], object], device: torch.device, rounds: int) -> float:
    """The median of the milliseconds a call takes, after two that are not timed."""
    taken = []
    for _ in range(rounds + 2):
        synchronise(device)
        started = time.perf_counter()
        work()
        synchronise(device)
        taken.append(1e3 * (time.perf_counter() - started))
    return float(np.median(taken[2:]))


def synchronise(device: torch.device) -> None:
    """Wait for what a GPU still has to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory(device: torch.device) -> dict[str, int]:
    """MB that torch had allocated at most since `forget_memory`, and that are in use on the device by anyone."""
    if device.type != "cuda":
        return {}
    free, total = torch.cuda.mem_get_info(device)
    return {"torch_mb": torch.cuda.max_memory_allocated(device) >> 20, "device_mb": (total - free) >> 20}


def forget_memory(device: torch.device) -> None:
    """Count anew what torch allocates at most."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
