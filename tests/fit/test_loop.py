"""The loop: reproducible, resumable, bounded, and led by held-out readouts alone."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dainr.errors import BadRequest, Diverged
from dainr.fit import loop as fit_module
from dainr.fit.config import FitConfig
from dainr.fit.loop import Fit
from dainr.fit.state import Checkpoint, Step
from dainr.fit.step import COSINE_FLOOR
from dainr.losses import Loss, energies, l1_loss, relative_error, residual
from dainr.operators import Batch, FrameData, acquisition
from tests.helper import random_complex

N_FRAMES, MATRIX, LINES = 3, (6, 8), 4
SETTINGS: dict[str, Any] = {
    "iterations": 24,
    "frames_per_step": 1,
    "learning_rate": 0.05,
    "weight_decay": 0.01,
    "decay_of_squares": 0.999,
    "schedule": "halving",
    "warm_up": 0.0,
    "validate_every": 5,
    "patience": 0,
}


class Voxels(nn.Module):
    """Free pixels for every frame, started from noise of the seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.pixels = nn.Parameter(torch.view_as_real(0.1 * random_complex(N_FRAMES, *MATRIX, seed=seed)))

    def forward(self, batch: Batch) -> Tensor:
        return torch.view_as_complex(self.pixels)[list(batch.frames)]


def data(seed: int = 1, noise: float = 0.0) -> FrameData:
    """Some lines of every frame of a random series, on the grid."""
    random = np.random.default_rng(seed)
    ky = np.concatenate([random.permutation(6)[:LINES] - 3 for _ in range(N_FRAMES)]) / 6
    kx = (np.arange(8) - 4) / 8
    trajectory = np.stack(np.broadcast_arrays(ky[:, None], kx), -1).astype(np.float32)
    frame, maps = np.repeat(np.arange(N_FRAMES), LINES), np.ones((2, *MATRIX), np.complex64)
    operator = acquisition(maps, trajectory, frame, N_FRAMES, True, "auto", torch.device("cpu"))
    clean = operator(random_complex(N_FRAMES, *MATRIX, seed=8))
    return FrameData(
        kspace=clean + noise * random_complex(*clean.shape, seed=seed),
        density=torch.ones(clean.shape[1]),
        times=torch.arange(N_FRAMES, dtype=torch.float64),
        operator=operator,
        frames=tuple(map(float, range(N_FRAMES))),
        starts=tuple(range(0, clean.shape[1] + 1, LINES * 8)),
    )


def make(
    seed: int = 0,
    heldout: FrameData | None = None,
    training: FrameData | None = None,
    loss: Loss = l1_loss,
    **other: Any,
) -> Fit:
    settings = FitConfig(**SETTINGS | other)
    return Fit(Voxels(seed), loss, training or data(), heldout, settings, seed)


def stop_at(step: int) -> Callable[[Step], bool]:
    return lambda seen: seen.step < step


def everything(fit: Fit) -> tuple[dict[str, Tensor], list[Any]]:
    """All tensors of a fit, and its state less the times, which differ from run to run."""
    state = fit.state
    figures = [state.step, state.best_step, state.best_heldout, state.since_best, state.losses, state.stopped]
    return fit.checkpoint().tensors, [*figures, [(v.step, v.heldout) for v in state.validations]]


def assert_same(a: Fit, b: Fit) -> None:
    (tensors, state), (others, other) = everything(a), everything(b)
    assert state == other
    assert tensors.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in tensors.items())


def test_the_same_seed_gives_the_same_bits() -> None:
    fits = [make(heldout=data(2, noise=0.1)) for _ in range(2)]
    for fit in fits:
        fit.run()
    assert_same(*fits)


def test_another_seed_gives_another_result() -> None:
    assert make(0).run().losses != make(1).run().losses


def test_the_fit_explains_its_data() -> None:
    (fit := make(iterations=600, learning_rate=0.02, schedule="cosine")).run()
    assert relative_error(fit.model, fit.data) < 0.02


@pytest.mark.parametrize("at", [1, 5, 11, 23])
@pytest.mark.parametrize(
    "settings",
    [{"schedule": "halving"}, {"schedule": "cosine", "warm_up": 0.3}, {"frames_per_step": 2}, {"frames_per_step": 0}],
    ids=str,
)
def test_a_fit_resumed_where_it_was_interrupted_is_one_that_never_was(at: int, settings: dict[str, Any]) -> None:
    config = {"heldout": data(2, noise=0.1), "halve_every": 7} | settings
    whole, first, second = make(**config), make(**config), make(**config)
    whole.run()
    assert first.run([stop_at(at)]).stopped == "interrupted"
    second.restore(first.checkpoint())
    assert (second.state.step, second.state.stopped) == (at, "")
    second.run()
    assert_same(whole, second)


def test_a_checkpoint_is_not_changed_by_the_steps_after_it() -> None:
    whole, resumed, again = (make(heldout=data(2, noise=0.1)) for _ in range(3))
    taken: list[Checkpoint] = []
    whole.run([lambda step: taken.append(step.checkpoint()) if step.step == 12 else None])
    assert taken[0].state.step == len(taken[0].state.losses) == 12
    for fit in (resumed, again):
        fit.restore(taken[0])
        fit.run()
        assert_same(whole, fit)


def test_a_finished_fit_takes_no_step_when_resumed() -> None:
    whole, again = make(), make()
    whole.run()
    again.restore(whole.checkpoint())
    assert again.run().step == whole.state.step
    assert torch.equal(again.model.pixels, whole.model.pixels)


def test_a_batch_knows_the_share_of_the_time_spent_before_it(clock: "Clock") -> None:
    progress: list[float] = []

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        progress.append(batch.progress)
        return clock.loss(model, batch)

    make(loss=loss, iterations=0, budget_s=4.0).run()
    assert progress == pytest.approx([i / 8 for i in range(8)])


@pytest.mark.parametrize(
    ("errors", "kept"),
    [
        ([0.5, 0.4, 0.403, 0.41, 0.45], 3),
        ([0.5, 0.4, 0.41, 0.403, 0.402], 5),
        ([0.5, 0.4, 0.403, 0.3, 0.31], 4),
        ([0.4, 0.5, 0.6, 0.7, 0.8], 1),
    ],
)
def test_of_states_that_tie_for_the_lowest_held_out_error_the_last_is_kept(
    errors: list[float], kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(errors)
    monkeypatch.setattr(fit_module, "relative_error", lambda *_: next(told))
    fit = make(heldout=data(2), iterations=15, validate_every=3)
    snapshots: dict[int, Tensor] = {}
    fit.run([lambda step: snapshots.update({step.step: step.model.pixels.detach().clone()}) and None])
    assert (fit.state.best_step, fit.state.best_heldout) == (3 * kept, min(errors))
    assert torch.equal(fit.best["pixels"], snapshots[3 * kept])


def test_the_error_of_a_state_is_that_of_its_tensors() -> None:
    fit = make(heldout=data(2, noise=0.5), iterations=60, validate_every=3)
    fit.run()
    fit.model.load_state_dict(fit.best)
    errors = {v.step: v.heldout for v in fit.state.validations}
    assert relative_error(fit.model, fit.heldout) == errors[fit.state.best_step]


def test_without_held_out_readouts_the_last_state_is_kept() -> None:
    fit = make()
    assert fit.run().best_step == 24
    assert torch.equal(fit.best["pixels"], fit.model.pixels)


def test_held_out_data_never_changes_the_steps() -> None:
    fits = [make(heldout=heldout) for heldout in (None, data(2), data(3, noise=5.0))]
    for fit in fits:
        fit.run()
    assert fits[0].state.losses == fits[1].state.losses == fits[2].state.losses
    assert torch.equal(fits[1].model.pixels, fits[2].model.pixels)


def test_patience_ends_a_fit_whose_held_out_error_no_longer_falls() -> None:
    fit = make(heldout=data(2, noise=3.0), iterations=500, validate_every=2, patience=4)
    assert fit.run().stopped == "converged"
    lowest = min(fit.state.validations, key=lambda validation: validation.heldout)
    assert fit.state.step == lowest.step + 2 * 4


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_data_that_is_not_finite_is_an_error_and_not_a_black_cine(bad: float) -> None:
    training = data()
    training.kspace[0, 3] = bad
    with pytest.raises(Diverged, match=r"the fit diverged: its loss was (nan|inf) .*lower .*learning_rate"):
        make(training=training).run()


def test_held_out_data_that_is_not_finite_is_an_error() -> None:
    heldout = data(2)
    heldout.kspace[0, 3] = math.nan
    with pytest.raises(Diverged, match="held-out error is nan at step 5"):
        make(heldout=heldout).run()


def test_a_loss_that_runs_away_is_an_error() -> None:
    with pytest.raises(Diverged, match=r"at step 1 .*lower .*learning_rate"):
        make(learning_rate=1e6).run()


class Clock:
    """A clock that only the loss moves, by `pace` seconds a step."""

    def __init__(self, pace: float) -> None:
        self.now, self.pace = 100.0, pace

    def perf_counter(self) -> float:
        return self.now

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        self.now += self.pace
        return l1_loss(model, batch)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(0.5)
    monkeypatch.setattr(fit_module, "time", SimpleNamespace(perf_counter=clock.perf_counter))
    return clock


def test_a_budget_in_seconds_is_kept_to_the_nearest_step(clock: Clock) -> None:
    fit = make(loss=clock.loss, iterations=1000, budget_s=10.0)
    state = fit.run()
    assert (state.step, state.seconds, state.stopped) == (20, 10.0, "budget")
    assert state.validations[-1].step == 20


def test_a_resumed_fit_has_what_is_left_of_its_budget(clock: Clock) -> None:
    first, second = (make(loss=clock.loss, iterations=1000, budget_s=10.0) for _ in range(2))
    first.run([stop_at(8)])
    second.restore(first.checkpoint())
    clock.now += 1e6  # the time between the two runs does not count
    assert second.run().step == 20
    assert second.state.seconds == pytest.approx(10.0)


def test_the_time_left_is_that_of_the_budget_or_the_steps(clock: Clock) -> None:
    steps: list[Step] = []
    make(loss=clock.loss, iterations=30, budget_s=10.0).run([steps.append])
    assert [s.seconds_left for s in steps[:2]] == [9.5, 9.0]
    assert steps[-1].seconds_left == 0.0
    make(loss=clock.loss, iterations=4).run([steps.append])
    assert [s.seconds_left for s in steps[-4:]] == pytest.approx([1.5, 1.0, 0.5, 0.0])


def test_the_cosine_schedule_follows_the_clock_where_time_is_the_budget(clock: Clock) -> None:
    steps: list[Step] = []
    make(schedule="cosine", iterations=1000, budget_s=5.0, loss=clock.loss).run([steps.append])
    expected = [COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(10)]
    assert [step.learning_rate for step in steps] == pytest.approx([0.05 * factor for factor in expected])


def test_an_observer_that_returns_false_stops_and_none_does_not() -> None:
    seen: list[int] = []
    fit = make()
    state = fit.run([lambda step: seen.append(step.step), stop_at(4)])
    assert seen == [1, 2, 3, 4]
    assert (state.step, state.stopped) == (4, "interrupted")


def test_observers_see_each_step_and_what_it_measured() -> None:
    steps: list[Step] = []
    fit = make(heldout=data(2, noise=0.1), iterations=12)
    fit.run([steps.append])
    assert [s.step for s in steps] == list(range(1, 13))
    assert [s.loss for s in steps] == fit.state.losses
    assert [(s.step, s.heldout) for s in steps if s.heldout] == [(v.step, v.heldout) for v in fit.state.validations]
    assert [v.step for v in fit.state.validations] == [5, 10, 12]
    assert [s.stopped for s in steps] == [""] * 11 + ["budget"]


def test_energies_are_weighted_by_density_frame_by_frame() -> None:
    training = data()
    training.density[:] = torch.arange(len(training.density)) / 10
    fit = make(training=training)
    with torch.no_grad():
        error = energies(residual(fit.model, training.batch()), training)
    signal = energies(training.kspace, training)
    points = slice(LINES * 8, 2 * LINES * 8)
    middle = (training.density[points] * training.kspace[:, points].abs() ** 2).sum()
    assert signal[1] == pytest.approx(float(middle), rel=1e-5)
    assert relative_error(fit.model, training) == pytest.approx(math.sqrt(error.sum() / signal.sum()))


@pytest.mark.parametrize(
    "name", ["iterations", "validate_every", "halve_every", "learning_rate", "budget_s", "frames_per_step", "warm_up"]
)
def test_settings_that_make_no_sense_are_refused(name: str) -> None:
    default = getattr(FitConfig(), name)
    with pytest.raises(BadRequest, match="choose"):
        FitConfig(**{name: type(default)(-1)})


@pytest.mark.parametrize("name", ["warm_up", "decay_of_squares"])
def test_shares_are_below_one(name: str) -> None:
    with pytest.raises(BadRequest, match="choose"):
        FitConfig(**{name: 1.0})
