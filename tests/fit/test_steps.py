"""What a step of the fit takes: its frames, its rate, and each group's share of that rate."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dainr.fit.config import FitConfig
from dainr.fit.loop import Fit
from dainr.fit.state import Step
from dainr.fit.step import COSINE_FLOOR
from dainr.losses import l1_loss
from dainr.operators import Batch
from tests.fit.test_loop import MATRIX, SETTINGS, Voxels, data, make


class Recorder:
    """A loss that keeps the batches it has seen."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        self.batches.append(batch)
        return l1_loss(model, batch)


@pytest.mark.parametrize(("size", "windows"), [(1, [(0,), (1,), (2,)]), (2, [(0, 1), (2,)])])
def test_every_window_of_frames_is_visited_once_a_round_in_changing_order(
    size: int, windows: list[tuple[int, ...]]
) -> None:
    make(loss=(seen := Recorder()), iterations=30, frames_per_step=size).run()
    visits = [batch.frames for batch in seen.batches]
    rounds = [tuple(visits[i : i + len(windows)]) for i in range(0, 30, len(windows))]
    assert all(sorted(r) == windows for r in rounds)
    assert len(set(rounds)) > 1


@pytest.mark.parametrize("size", [0, 3, 99])
def test_a_step_may_take_all_frames(size: int) -> None:
    fit = make(loss=(seen := Recorder()), iterations=4, frames_per_step=size)
    fit.run()
    assert [batch.frames for batch in seen.batches] == 4 * [(0, 1, 2)]
    assert all(batch.kspace is fit.data.kspace for batch in seen.batches)


def test_a_batch_knows_the_share_of_the_steps_spent_before_it() -> None:
    make(loss=(seen := Recorder()), iterations=8).run()
    assert [batch.progress for batch in seen.batches] == [i / 8 for i in range(8)]


class Grouped(Voxels):
    """Voxels that take their share of the rate, the last of each line a smaller one and no decay."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        first, last = self.pixels.detach().split([MATRIX[1] - 1, 1], 2)
        del self.pixels
        self.first, self.last = nn.Parameter(first.contiguous()), nn.Parameter(last.contiguous())

    def forward(self, batch: Batch) -> Tensor:
        return torch.view_as_complex(torch.cat([self.first, self.last], 2).contiguous())[list(batch.frames)]

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [self.first], "share": 1.0, "decay": True},
            {"params": [self.last], "share": 0.25, "decay": False},
        ]


def test_each_group_takes_its_share_of_the_rate() -> None:
    model = Grouped(0)
    before = model.first.detach().clone(), model.last.detach().clone()
    fit = Fit(model, l1_loss, data(), None, FitConfig(**SETTINGS | {"iterations": 1, "frames_per_step": 0}), 0)
    fit.run()
    rate, decay = SETTINGS["learning_rate"], SETTINGS["weight_decay"]
    step = (model.first.detach() - (1 - rate * decay) * before[0]).abs()
    assert float(step.median()) == pytest.approx(rate, rel=1e-3)  # the length of a first step of AdamW
    step = (model.last.detach() - before[1]).abs()
    assert float(step.median()) == pytest.approx(0.25 * rate, rel=1e-3)


def test_the_optimiser_has_the_settings_of_the_fit() -> None:
    optimiser = make(decay_of_squares=0.9, weight_decay=0.5).optimiser
    assert optimiser.betas == (0.9, 0.9)
    assert [(g["weight_decay"], g["share"]) for g in optimiser.param_groups] == [(0.5, 1.0)]


def rates(**config: Any) -> list[float]:
    steps: list[Step] = []
    make(**config).run([steps.append])
    return [s.learning_rate for s in steps]


def cosine(n: int) -> list[float]:
    return [0.05 * (COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * i / n))) for i in range(n)]


def test_the_halving_schedule_halves() -> None:
    assert rates(iterations=7, halve_every=3) == pytest.approx([0.05] * 3 + [0.025] * 3 + [0.0125])


def test_the_cosine_schedule_falls_from_the_rate_to_its_floor() -> None:
    assert rates(schedule="cosine", iterations=10) == pytest.approx(cosine(10))


@pytest.mark.parametrize("schedule", ["cosine", "halving"])
def test_the_rate_rises_to_that_of_the_schedule_while_it_warms_up(schedule: str) -> None:
    warm = rates(schedule=schedule, iterations=20, warm_up=0.2)
    cold = rates(schedule=schedule, iterations=20)
    assert warm[1:4] == pytest.approx([cold[i] * i / 4 for i in (1, 2, 3)])
    assert 0 < warm[0] < 0.1 * warm[1] * 4
    assert warm[4:] == cold[4:]


@pytest.mark.parametrize("size", [1, 2])
def test_frames_rendered_in_parts_add_up_to_the_same_steps(size: int) -> None:
    every: Any = {"iterations": 5, "frames_per_step": 0}
    whole, parts = make(**every), make(loss=(seen := Recorder()), frames_at_once=size, **every)
    whole.run()
    parts.run()
    assert max(len(batch.frames) for batch in seen.batches) == size
    assert parts.state.losses == pytest.approx(whole.state.losses, rel=1e-4)
    torch.testing.assert_close(parts.model.pixels, whole.model.pixels, rtol=1e-3, atol=1e-4)
    borders = {batch.frames[0] for batch in seen.batches}
    assert borders == {0, 1, 2}
