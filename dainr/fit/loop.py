"""The fit: one flat loop over steps, with held-out validation, a budget, checkpoints and observers.

Everything a step needs follows from the seed and the step number, so a fit that is resumed from a checkpoint takes the
same steps as one that was never interrupted.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dainr.errors import BadRequest, Diverged
from dainr.fit.adamw import AdamW, parameter_groups
from dainr.fit.memory import with_fewer_frames
from dainr.fit.state import Checkpoint, FitState, Observer, Step, Validation
from dainr.losses import KeepsState, Loss, relative_error
from dainr.machine.shortage import memory_for
from dainr.operators.batch import FrameData

COSINE_FLOOR = 0.01  # of the rate, at the end
TIE = 0.01  # of the held-out error; within it the last state wins: few readouts judge, and later states wander less


@dataclass(frozen=True)
class FitConfig:
    """Optimiser, schedule, budget and validation."""

    iterations: int = 100  # 0: the budget alone decides
    budget_s: float = 0.0  # wall-clock for the steps of a slice; 0: iterations alone decide
    frames_per_step: int = 0  # 0: all
    frames_at_once: int = 0  # rendered together, which bounds memory; a step adds up its parts' gradients; 0: all
    learning_rate: float = 0.01
    weight_decay: float = 1e-3
    decay_of_squares: float = 0.99  # AdamW's beta 2
    schedule: Literal["halving", "cosine"] = "cosine"
    warm_up: float = 0.15  # share of the budget in which the rate rises from zero
    halve_every: int = 2000
    validate_every: int = 10
    patience: int = 16  # halving: validations without a better held-out error before the fit stops; 0: never

    def __post_init__(self) -> None:
        if self.iterations < (0 if self.budget_s else 1) or self.validate_every < 1 or self.halve_every < 1:
            raise BadRequest("the fit's settings", "a number of steps is below 1", "choose at least 1")
        if not (self.learning_rate > 0 and self.budget_s >= 0 and self.patience >= 0 and self.weight_decay >= 0):
            raise BadRequest("the fit's settings", "a rate, budget or patience is negative", "choose positive values")
        if min(self.frames_per_step, self.frames_at_once) < 0 or not (
            0 <= self.warm_up < 1 and 0 <= self.decay_of_squares < 1
        ):
            raise BadRequest("the fit's settings", "frames_per_step or a share is out of range", "choose others")


class Fit:
    """One model fitted to one slice; `run` is the loop, `best` holds the tensors the held-out readouts chose."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        data: FrameData,
        heldout: FrameData | None,
        config: FitConfig,
        seed: int,
        place: tuple[int, int] = (0, 1),
    ) -> None:
        """`model.parameter_groups()`, where it has one, gives each group's share of the learning rate and decay."""
        self.model, self.loss, self.data, self.heldout = model, loss, data, heldout
        self.config, self.seed, self.place = config, seed, place
        groups = parameter_groups(model, config.learning_rate, config.weight_decay)
        self.optimiser = AdamW(groups, (0.9, config.decay_of_squares))
        self.state = FitState()
        self.best: dict[str, Tensor] = {}
        self.first_loss = math.nan
        self._order: tuple[int, list[int]] = (-1, [])
        self._validation_s = 0.0  # the last one, which the end of a budget must leave room for

    @property
    def frames_at_once(self) -> int:
        """How many frames are rendered together: those of a step, or what the settings or memory bound them to."""
        n_frames = len(self.data.frames)
        bounds = self.config.frames_per_step, self.config.frames_at_once, self.state.frames_at_once
        return min(n_frames, *(bound or n_frames for bound in bounds))

    def run(self, observers: Sequence[Observer] = ()) -> FitState:
        """Fit until the budget is spent, the held-out error stops falling, or an observer says stop.

        Raises Diverged when the loss is no longer finite or a hundred times what it was at the start.
        """
        state, config = self.state, self.config
        started = time.perf_counter() - state.seconds
        begun_at, begun_seconds = state.step, state.seconds
        while not state.stopped:
            rate = self._set_learning_rate()
            self.optimiser.zero_grad()
            self._check(with_fewer_frames(self._backward, self.optimiser.zero_grad, state, self.frames_at_once))
            self.optimiser.step()
            state.step += 1
            state.seconds = time.perf_counter() - started
            last = self._is_last(begun_at, begun_seconds)
            heldout = None
            if state.step % config.validate_every == 0 or last:
                heldout = self._validate()
                self._validation_s = time.perf_counter() - started - state.seconds
                state.seconds += self._validation_s
                last = last or self._is_last(begun_at, begun_seconds, 0.5)
            if last and not state.stopped:
                state.stopped = "budget"
            if not self._observe(observers, rate, heldout, begun_at, begun_seconds):
                state.stopped = state.stopped or "interrupted"
        return state

    def checkpoint(self) -> Checkpoint:
        """All tensors and the state, as they are after the last step."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for index, slots in self.optimiser.state.items():
            tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
        if isinstance(self.loss, KeepsState):
            tensors |= {f"loss.{name}": value for name, value in self.loss.state().items()}
        return Checkpoint({name: value.detach().clone() for name, value in tensors.items()}, self.state.copy())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint as if the fit had never stopped."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "loss": {}}
        for name, value in checkpoint.tensors.items():
            group, rest = name.split(".", 1)
            parts[group][rest] = value.clone()
        self.model.load_state_dict(parts["model"])
        self.best = parts["best"]
        if isinstance(self.loss, KeepsState):
            self.loss.load_state({k: v.to(self.data.kspace.device) for k, v in parts["loss"].items()})
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, slot = name.split(".", 1)
            slots.setdefault(int(index), {})[slot] = value
        self.optimiser.load_state(slots)
        self.state = checkpoint.state.copy()
        if self.state.stopped == "interrupted":
            self.state.stopped = ""
        if self.state.losses:
            self.first_loss = self.state.losses[0]

    def _backward(self) -> float:
        """The loss of this step; its gradients are left in the parameters."""
        positions = self._positions(self.state.step)
        whole = list(range(len(self.data.frames))) if positions is None else positions
        size = self.frames_at_once
        if size >= len(whole):
            loss = self.loss(self.model, self.data.batch(positions, self._progress()))
            loss.backward()
            return float(loss.detach())
        total, first = 0.0, -(self.state.step % size)  # so that no two neighbours are always in different parts
        for start in range(first, len(whole), size):
            part = whole[max(start, 0) : start + size]
            loss = self.loss(self.model, self.data.batch(part, self._progress())) * (len(part) / len(whole))
            loss.backward()
            total += float(loss.detach())
        return total

    def _positions(self, step: int) -> list[int] | None:
        """All frames, or a window of neighbours: each once per round, each round in its own random order."""
        n_frames, size = len(self.data.frames), self.config.frames_per_step or len(self.data.frames)
        if size >= n_frames:
            return None
        n_windows = math.ceil(n_frames / size)
        cycle = step // n_windows
        if self._order[0] != cycle:
            self._order = (cycle, np.random.default_rng([self.seed, cycle]).permutation(n_windows).tolist())
        first = self._order[1][step % n_windows] * size
        return list(range(first, min(first + size, n_frames)))

    def _progress(self) -> float:
        by_steps = self.state.step / self.config.iterations if self.config.iterations else 0.0
        by_time = self.state.seconds / self.config.budget_s if self.config.budget_s else 0.0
        return min(max(by_steps, by_time), 1.0)

    def _set_learning_rate(self) -> float:
        config = self.config
        progress = self._progress()
        if config.schedule == "cosine":
            factor = COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
        else:
            factor = 0.5 ** (self.state.step // config.halve_every)
        if progress < config.warm_up:
            factor *= max(progress, COSINE_FLOOR) / config.warm_up
        for group in self.optimiser.param_groups:
            group["lr"] = config.learning_rate * group["share"] * factor
        return config.learning_rate * factor

    def _is_last(self, begun_at: int, begun_seconds: float, validations: float = 1.0) -> bool:
        """Whether to end now comes nearer the budget than another step; every end takes a validation."""
        state, config = self.state, self.config
        pace = (state.seconds - begun_seconds) / max(state.step - begun_at, 1)
        end = state.seconds + 0.5 * pace + validations * self._validation_s
        return 0 < config.iterations <= state.step or 0 < config.budget_s <= end

    def _check(self, loss: float) -> None:
        if not self.state.losses:
            self.first_loss = loss
        if not math.isfinite(loss) or loss > 100 * max(self.first_loss, 1e-12):
            raise Diverged(
                "the fit diverged",
                f"its loss was {loss:.3g} at step {self.state.step} and {self.first_loss:.3g} at the start",
                "start anew with --force and a lower --set learning_rate=...",
            )
        self.state.losses.append(loss)

    @memory_for("validating the fit")
    @torch.no_grad()
    def _validate(self) -> float:
        """The held-out error; without held-out readouts the in-sample loss stands in and the last state wins."""
        state, at_once = self.state, self.state.frames_at_once or self.config.frames_at_once
        error = relative_error(self.model, self.heldout, at_once) if self.heldout else state.losses[-1]
        if not math.isfinite(error):
            raise Diverged(
                "the fit diverged",
                f"its held-out error is {error} at step {state.step}",
                "start anew with --force and a lower --set learning_rate=...",
            )
        state.validations.append(Validation(state.step, error, state.seconds))
        better = error < state.best_heldout or self.heldout is None
        state.since_best = 0 if better else state.since_best + 1
        if better:
            state.best_heldout = error
        if error <= (1 + TIE) * state.best_heldout:
            state.best_step = state.step
            self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        if self.config.schedule == "halving" and 0 < self.config.patience <= state.since_best:
            state.stopped = "converged"  # a cosine's error falls once the rate does, so it is never stopped before
        return error

    def _observe(
        self, observers: Sequence[Observer], rate: float, heldout: float | None, begun_at: int, begun_seconds: float
    ) -> bool:
        state, config = self.state, self.config
        pace = (state.seconds - begun_seconds) / (state.step - begun_at)
        left = (config.iterations - state.step) * pace if config.iterations else math.inf
        if config.budget_s:
            left = min(left, max(config.budget_s - state.seconds, 0.0))
        step = Step(
            slice=self.place[0],
            n_slices=self.place[1],
            step=state.step,
            progress=self._progress(),
            loss=state.losses[-1],
            heldout=heldout,
            best_heldout=state.best_heldout,
            seconds=state.seconds,
            seconds_left=0.0 if state.stopped else left,
            learning_rate=rate,
            stopped=state.stopped,
            model=self.model,
            checkpoint=self.checkpoint,
        )
        return all(observer(step) is not False for observer in observers)
