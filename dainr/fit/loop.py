"""The fit: one flat loop over steps, with held-out validation, a budget, checkpoints and observers.

Everything a step needs follows from the seed and the step number, so a fit that is resumed from a checkpoint takes the
same steps as one that was never interrupted. A graphics card runs ahead of the program: what it computes is read every
few steps, for to read is to wait.
"""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dainr.errors import Diverged
from dainr.fit.config import FitConfig
from dainr.fit.state import Checkpoint, FitState, Observer, Step, Validation
from dainr.fit.step import Stepper
from dainr.losses import KeepsState, Loss, relative_error
from dainr.machine.shortage import memory_for
from dainr.operators.batch import FrameData

TIE = 0.01  # of the held-out error; within it the last state wins: few readouts judge, and later states wander less
READ_EVERY = 10  # steps, of a device that runs ahead


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
        self.stepper = Stepper(model, loss, data, config, seed)
        self.optimiser = self.stepper.optimiser
        self.state = FitState()
        self.best: dict[str, Tensor] = {}
        self.first_loss = math.nan
        self._unread: list[Tensor] = []  # losses that are still on the device
        self._validation_s = 0.0  # the last one, which the end of a budget must leave room for

    def run(self, observers: Sequence[Observer] = ()) -> FitState:
        """Fit until the budget is spent, the held-out error stops falling, or an observer says stop.

        Raises Diverged when the loss is no longer finite or a hundred times what it was at the start.
        """
        state, config = self.state, self.config
        started = time.perf_counter() - state.seconds
        begun_at, begun_seconds = state.step, state.seconds
        while not state.stopped:
            loss, rate = self.stepper.take(state)
            self._take_in(loss)
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
        self._read()
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

    def _is_last(self, begun_at: int, begun_seconds: float, validations: float = 1.0) -> bool:
        """Whether to end now comes nearer the budget than another step; every end takes a validation."""
        state, config = self.state, self.config
        pace = (state.seconds - begun_seconds) / max(state.step - begun_at, 1)
        end = state.seconds + 0.5 * pace + validations * self._validation_s
        return 0 < config.iterations <= state.step or 0 < config.budget_s <= end

    def _take_in(self, loss: Tensor) -> None:
        self._unread.append(loss)
        if loss.device.type == "cpu" or not self.state.losses or len(self._unread) >= READ_EVERY:
            self._read()

    def _read(self) -> None:
        """Take the losses of the last steps from the device. Raises Diverged."""
        state, values = self.state, torch.stack(self._unread).tolist() if self._unread else []
        self._unread = []
        for loss in values:
            if not state.losses:
                self.first_loss = loss
            if not math.isfinite(loss) or loss > 100 * max(self.first_loss, 1e-12):
                raise Diverged(
                    "the fit diverged",
                    f"its loss was {loss:.3g} at step {len(state.losses)} and {self.first_loss:.3g} at the start",
                    "start anew with --force and a lower --set learning_rate=...",
                )
            state.losses.append(loss)

    @memory_for("validating the fit")
    @torch.no_grad()
    def _validate(self) -> float:
        """The held-out error; without held-out readouts the in-sample loss stands in and the last state wins."""
        self._read()
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
            progress=self.stepper.progress(state),
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
