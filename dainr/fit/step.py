"""A step of a fit: which frames, at what rate, their gradients, and the optimiser."""

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from dainr.fit.adamw import AdamW, parameter_groups
from dainr.fit.config import FitConfig
from dainr.fit.memory import with_fewer_frames
from dainr.fit.recorded import Recorder, cuda_graphs
from dainr.fit.state import FitState
from dainr.losses import HasPhases, Loss
from dainr.operators.batch import Batch, FrameData

COSINE_FLOOR = 0.01  # of the rate, at the end


class Stepper:
    """Takes the steps of a fit. What each needs follows from the seed and the state."""

    def __init__(self, model: nn.Module, loss: Loss, data: FrameData, config: FitConfig, seed: int) -> None:
        """`model.parameter_groups()`, where it has one, gives each group's share of the learning rate and decay."""
        self.model, self.loss, self.data, self.config, self.seed = model, loss, data, config, seed
        groups = parameter_groups(model, config.learning_rate, config.weight_decay)
        self.optimiser = AdamW(groups, (0.9, config.decay_of_squares))
        self.recorder: Recorder | None = None
        device = data.kspace.device
        if device.type == "cuda" and config.record_steps and isinstance(loss, HasPhases):
            self.record(Recorder(cuda_graphs(device)))
        self._batch: Batch | None = None  # that of recorded steps
        self._order: tuple[int, list[int]] = (-1, [])

    def record(self, recorder: Recorder) -> None:
        """Record steps from now on; their rates then lie on the device."""
        self.recorder = recorder
        for group in self.optimiser.param_groups:
            group["lr"] = torch.full((), group["lr"], device=self.data.kspace.device)

    def frames_at_once(self, state: FitState) -> int:
        """How many frames are rendered together: those of a step, or what the settings or memory bound them to."""
        n_frames = len(self.data.frames)
        bounds = self.config.frames_per_step, self.config.frames_at_once, state.frames_at_once
        return min(n_frames, *(bound or n_frames for bound in bounds))

    def take(self, state: FitState) -> tuple[Tensor, float]:
        """Take the step after those of the state; its loss, on the device, and the learning rate."""
        rate = self._set_rate(state)
        if self.frames_at_once(state) < len(self.data.frames):
            self.recorder = self._batch = None  # memory ran out, or never held all frames: what it takes is given back
        if self.recorder is None:
            return self._step(state), rate
        assert isinstance(self.loss, HasPhases)
        progress = self.progress(state)
        phase = self.loss.phase(progress)
        if self._batch is None or phase != self.recorder.phase:
            self._batch = self.data.batch(None, progress)
        self._batch.clock.fill_(progress)
        loss = self.recorder(phase, partial(self._recordable, self._batch))
        return self._step(state) if loss is None else loss, rate

    def progress(self, state: FitState) -> float:
        """The share of the budget that is spent."""
        config = self.config
        by_steps = state.step / config.iterations if config.iterations else 0.0
        by_time = state.seconds / config.budget_s if config.budget_s else 0.0
        return min(max(by_steps, by_time), 1.0)

    def positions(self, step: int) -> list[int] | None:
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

    def _recordable(self, batch: Batch) -> Tensor:
        """A step of all frames at once, which nothing but the tensors of the batch tells how far the fit is."""
        self.optimiser.zero_grad()
        loss = self.loss(self.model, batch)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def _step(self, state: FitState) -> Tensor:
        self.optimiser.zero_grad()
        forget, at_once = self.optimiser.zero_grad, self.frames_at_once(state)
        loss = with_fewer_frames(partial(self._backward, state), forget, state, at_once)
        self.optimiser.step()
        return loss

    def _backward(self, state: FitState) -> Tensor:
        """The loss of a step; its gradients are left in the parameters."""
        positions, progress, size = self.positions(state.step), self.progress(state), self.frames_at_once(state)
        whole = list(range(len(self.data.frames))) if positions is None else positions
        if size >= len(whole):
            loss = self.loss(self.model, self.data.batch(positions, progress))
            loss.backward()
            return loss.detach()
        total, first = self.data.density.new_zeros(()), -(state.step % size)  # so that parts have other neighbours
        for start in range(first, len(whole), size):
            part = whole[max(start, 0) : start + size]
            loss = self.loss(self.model, self.data.batch(part, progress)) * (len(part) / len(whole))
            loss.backward()
            total = total + loss.detach()
        return total

    def _set_rate(self, state: FitState) -> float:
        config, progress = self.config, self.progress(state)
        if config.schedule == "cosine":
            factor = COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
        else:
            factor = 0.5 ** (state.step // config.halve_every)
        if progress < config.warm_up:
            factor *= max(progress, COSINE_FLOOR) / config.warm_up
        for group in self.optimiser.param_groups:
            rate = config.learning_rate * group["share"] * factor
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        return config.learning_rate * factor
