"""The loop of a training: a scan after another, in an order of its own in each round, judged by scans set aside.

Which scans a step has and what it draws follow from the seed and its number, so that a training which is resumed takes
the same steps as one that was never interrupted.
"""

import math
import time
from collections.abc import Sequence
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn

from dainr.errors import Diverged
from dainr.fit.adamw import AdamW, parameter_groups
from dainr.fit.state import Checkpoint, FitState, Observer, Step, Validation, of_the_run
from dainr.losses import relative_error
from dainr.losses.learning import make_loss
from dainr.machine.shortage import memory_for
from dainr.methods.unrolled.model import NetworkModel
from dainr.networks.unrolled import UnrolledNetwork
from dainr.networks.unrolled.unrolled import room_of_a_pass
from dainr.studies.train.cohort import Cohort
from dainr.studies.train.config import TrainConfig, TrainingConfig

SMALLEST = 1e-4  # loss that counts by its logarithm; SURE may be less, and less than nothing
FIX = "start anew with --force and a lower --set learning_rate=..."


def why_ended(state: FitState, limits: TrainingConfig) -> str:
    """Why a training that got so far is over: budget, converged, or "" where steps are left to take."""
    if _progress(state, limits) >= 1:
        return "budget"
    return "converged" if 0 < limits.patience <= state.since_best else ""


def _progress(state: FitState, limits: TrainingConfig) -> float:
    by_steps = state.step / limits.iterations if limits.iterations else 0.0
    by_time = state.seconds / limits.budget_s if limits.budget_s else 0.0
    return min(max(by_steps, by_time), 1.0)


class Training:
    """A network and the scans it learns from; `best` are its tensors when the validation scans liked it most."""

    def __init__(self, network: nn.Module, training: Cohort, validating: Cohort, config: TrainConfig) -> None:
        self.network, self.training, self.validating = network, training, validating
        self.config, self.limits = config, config.training
        if isinstance(network, UnrolledNetwork):
            network.mixed = self.limits.precision == "mixed"
            network.room = room_of_a_pass(training.device)
        groups = parameter_groups(network, self.limits.learning_rate, self.limits.weight_decay)
        self.optimiser = AdamW(groups, (0.9, self.limits.decay_of_squares))
        self.state = FitState()
        self.best: dict[str, Tensor] = {}
        self.first_errors: list[float] = []  # of the validation scans, before the first step
        self.best_errors: list[float] = []
        self._order: tuple[int, list[int]] = (-1, [])

    def run(self, observers: Sequence[Observer] = ()) -> FitState:
        """Train until the steps or the time are spent, the validation stops falling, or an observer says stop.

        Raises Diverged when a loss or an error is no longer finite, and OutOfMemory.
        """
        state, limits = self.state, self.limits
        started = time.perf_counter() - state.seconds
        begun_at, begun_seconds = state.step, state.seconds
        if not state.validations:
            self._validate(started)
        while not state.stopped:
            rate = self._set_rate()
            state.losses.append(self._step())
            state.step += 1
            state.seconds = time.perf_counter() - started
            if validated := state.step % limits.validate_every == 0 or self.progress >= 1:
                self._validate(started)
            state.stopped = why_ended(state, limits)
            shown = self._shown(rate, validated, begun_at, begun_seconds)
            if any(observer(shown) is False for observer in observers):
                state.stopped = state.stopped or "interrupted"
        return state

    @property
    def progress(self) -> float:
        """The share of the steps, or of the time, that is spent."""
        return _progress(self.state, self.limits)

    def scans_of(self, step: int) -> list[int]:
        """The scans of a step: each is once in a round, and each round has a random order of its own."""
        found = []
        for number in range(step * self.limits.scans_per_step, (step + 1) * self.limits.scans_per_step):
            cycle, place = divmod(number, len(self.training))
            if self._order[0] != cycle:
                random = np.random.default_rng([self.config.seed, cycle])
                self._order = (cycle, random.permutation(len(self.training)).tolist())
            found.append(self._order[1][place])
        return found

    def checkpoint(self) -> Checkpoint:
        """All tensors and the state, as they are after the last step."""
        tensors = {f"model.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for number, slots in self.optimiser.state.items():
            tensors |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items()}
        for name in ("first_errors", "best_errors"):
            tensors[f"errors.{name}"] = torch.tensor(getattr(self, name), dtype=torch.float64)
        return Checkpoint({name: value.detach().clone() for name, value in tensors.items()}, self.state.copy())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint as if the training had never stopped. Raises BadScan where it is of another."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "errors": {}}
        slots: dict[int, dict[str, Tensor]] = {}
        with of_the_run("the state to resume from"):
            for name, value in checkpoint.tensors.items():
                group, _, rest = name.partition(".")
                parts[group][rest] = value.clone()
            self.network.load_state_dict(parts["model"])
            for name, value in parts["optimizer"].items():
                number, _, slot = name.partition(".")
                slots.setdefault(int(number), {})[slot] = value
            self.optimiser.load_state(slots)
            self.first_errors, self.best_errors = (parts["errors"][k].tolist() for k in ("first_errors", "best_errors"))
        self.best, self.state = parts["best"], checkpoint.state.copy()
        self.state.stopped = why_ended(self.state, self.limits)

    def _set_rate(self) -> float:
        """Rising in equal steps from more than zero, then falling along a cosine."""
        limits, progress = self.limits, self.progress
        factor = limits.final_rate + (1 - limits.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))
        if progress < limits.warm_up:
            factor *= 0.1 + 0.9 * progress / limits.warm_up
        for group in self.optimiser.param_groups:
            group["lr"] = limits.learning_rate * group["share"] * factor
        return limits.learning_rate * factor

    def _step(self) -> float:
        """A step of the optimiser; the mean loss of its scans."""
        self.optimiser.zero_grad()
        losses = [self._backward(place, number) for number, place in enumerate(self.scans_of(self.state.step))]
        if not math.isfinite(loss := fmean(losses)):
            raise Diverged("the training diverged", f"its loss is {loss} at step {self.state.step + 1}", FIX)
        if self.limits.largest_gradient:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.limits.largest_gradient)
        self.optimiser.step()
        return loss

    def _backward(self, place: int, number: int) -> float:
        scan, name = self.training[place], self.training.samples[place].name
        loss_of = make_loss(self.config.learning, reference=scan.reference)
        draw = self.state.step * self.limits.scans_per_step + number
        generator = torch.Generator().manual_seed((self.config.seed * 1_000_003 + draw) % 2**63)
        with memory_for(f"a step with {name}"):
            loss = loss_of(self.network, scan.measurements, generator)
            unit = loss.detach().abs().clamp(min=SMALLEST) if self.limits.balanced else 1.0
            (loss / (unit * self.limits.scans_per_step)).backward()  # where balanced, the gradient of its logarithm
        return float(loss.detach())

    @torch.no_grad()
    def _validate(self, started: float) -> None:
        """The mean error of the validation scans; the network is kept if it is the best so far."""
        state, errors = self.state, list[float]()
        for place, sample in enumerate(self.validating.samples):
            scan = self.validating[place]
            assert scan.heldout is not None
            with memory_for(f"validating with {sample.name}"):
                errors.append(relative_error(NetworkModel(self.network, scan.measurements), scan.heldout))
        if not math.isfinite(error := fmean(errors)):
            raise Diverged("the training diverged", f"its validation error is {error} at step {state.step}", FIX)
        state.seconds = time.perf_counter() - started
        state.validations.append(Validation(state.step, error, state.seconds))
        self.first_errors = self.first_errors or errors
        state.since_best += 1
        if error < state.best_heldout:
            state.best_heldout, state.best_step, state.since_best = error, state.step, 0
            self.best_errors = errors
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def _shown(self, rate: float, validated: bool, begun_at: int, begun_seconds: float) -> Step:
        """What observers see of a step."""
        state, limits = self.state, self.limits
        pace = (state.seconds - begun_seconds) / (state.step - begun_at)
        left = (limits.iterations - state.step) * pace if limits.iterations else math.inf
        if limits.budget_s:
            left = min(left, max(limits.budget_s - state.seconds, 0.0))
        return Step(
            slice=0,
            n_slices=1,
            step=state.step,
            progress=self.progress,
            loss=state.losses[-1],
            heldout=state.validations[-1].heldout if validated else None,
            best_heldout=state.best_heldout,
            seconds=state.seconds,
            seconds_left=0.0 if state.stopped else left,
            learning_rate=rate,
            stopped=state.stopped,
            model=self.network,
            checkpoint=self.checkpoint,
        )
