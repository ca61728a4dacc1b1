"""Memory that runs out in a step: the fit goes on with fewer frames at once, or ends with a sentence."""

import gc
import logging
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dainr.errors import OutOfMemory
from dainr.fit.config import FitConfig
from dainr.fit.loop import Fit
from dainr.fit.memory import with_fewer_frames
from dainr.fit.state import FitState
from dainr.losses import l1_loss, relative_error, residual, residuals
from dainr.operators import Batch
from tests.fit.test_loop import SETTINGS, Voxels, assert_same, data, make, stop_at

EVERY: dict[str, Any] = {"iterations": 6, "frames_per_step": 0}


class Needy:
    """A loss that runs out of memory with more than so many frames at once; it keeps how many it was given."""

    def __init__(self, fits: int, error: type[Exception] = torch.OutOfMemoryError, said: str = "CUDA") -> None:
        self.fits, self.error, self.said, self.sizes = fits, error, said, list[int]()

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        self.sizes.append(len(batch.frames))
        value = l1_loss(model, batch)
        if len(batch.frames) > self.fits:
            raise self.error(self.said)
        return value


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory."),
        (RuntimeError, "CUDA error: out of memory"),
        (RuntimeError, "cuFFT error: CUFFT_ALLOC_FAILED"),
        (RuntimeError, "DefaultCPUAllocator: can't allocate memory"),
        (MemoryError, ""),
    ],
)
def test_a_fit_goes_on_with_fewer_frames_at_once(
    error: type[Exception], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dainr")
    fit = make(loss=(loss := Needy(2, error, said)), **EVERY)
    fit.run()
    fewer = make(frames_at_once=2, **EVERY)
    fewer.run()
    assert loss.sizes[0] == 3
    assert max(loss.sizes[1:]) == 2
    assert fit.state.frames_at_once == 2
    assert_same(fit, fewer)  # nothing of the step that was given up is left
    assert [record.message for record in caplog.records] == ["out of memory: the fit goes on with 2 frames at once"]


def test_what_was_begun_is_forgotten_and_the_frames_are_halved_until_they_fit() -> None:
    done: list[str] = []
    state = FitState()

    def backward() -> float:
        done.append(f"{state.frames_at_once or 25}")
        if state.frames_at_once != 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 0.5

    assert with_fewer_frames(backward, lambda: done.append("forget"), state, 25) == 0.5
    assert done == ["25", "forget", "12", "forget", "6", "forget", "3"]


def test_what_a_step_held_is_free_before_it_is_taken_again() -> None:
    alive: list[weakref.ref[Tensor]] = []
    free: list[bool] = []

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        gc.collect()
        free.extend(ref() is None for ref in alive)
        held = l1_loss(model, batch)
        if not alive:
            alive.append(weakref.ref(held))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return held

    make(loss=loss, **EVERY | {"iterations": 1}).run()
    assert free
    assert all(free)


def test_a_resumed_fit_keeps_to_fewer_frames() -> None:
    whole = make(loss=Needy(2), **EVERY)
    whole.run()
    stopped = make(loss=Needy(2), **EVERY)
    stopped.run([stop_at(3)])
    resumed = make(loss=(loss := Needy(2)), **EVERY)
    resumed.restore(stopped.checkpoint())
    resumed.run()
    assert max(loss.sizes) == 2
    assert_same(resumed, whole)


@pytest.mark.parametrize("settings", [EVERY, {"iterations": 6, "frames_per_step": 1}])
def test_where_fewer_frames_do_not_help_it_says_what_might(settings: dict[str, Any]) -> None:
    with pytest.raises(OutOfMemory, match=r"out of memory: .*frames at once; .*--matrix .*virtual_coils=8.*\.$"):
        make(loss=Needy(0), **settings).run()


def test_other_errors_are_not_taken_for_it() -> None:
    with pytest.raises(RuntimeError, match="a shape"):
        make(loss=Needy(2, RuntimeError, "a shape"), **EVERY).run()


def test_readouts_are_validated_so_many_frames_at_a_time() -> None:
    seen: list[int] = []
    fit = make()
    whole = relative_error(fit.model, fit.data)

    class Counted(Voxels):
        def forward(self, batch: Batch) -> Tensor:
            seen.append(len(batch.frames))
            return super().forward(batch)

    assert relative_error(Counted(0), fit.data, 2) == pytest.approx(whole, rel=1e-6)
    assert seen == [2, 1]
    torch.testing.assert_close(residuals(fit.model, fit.data, 1), residual(fit.model, fit.data.batch()))
    seen.clear()
    counted = Fit(Counted(0), l1_loss, data(), data(2), FitConfig(**SETTINGS | EVERY | {"frames_at_once": 2}), 0)
    counted.run()
    assert max(seen) == 2
