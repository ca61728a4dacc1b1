"""Frames of a slice in batches: everything, or some frames with their own samples and operator."""

import pytest
import torch

from dainr.operators import FrameData
from tests.helper import random_complex
from tests.operators.test_acquisition import COUNTS, make

STARTS = tuple(int(s) for s in (0, COUNTS[0], COUNTS[0] + COUNTS[1], sum(COUNTS)))


@pytest.fixture
def data() -> FrameData:
    """Readouts in the second, fifth and sixth frame of a series, unequal in number."""
    return FrameData(
        kspace=random_complex(3, sum(COUNTS), seed=1),
        density=torch.arange(float(sum(COUNTS))),
        times=torch.tensor([0.1, 0.4, 0.5]),
        operator=make("finufft"),
        frames=(1.0, 4.0, 5.0),
        starts=STARTS,
    )


@pytest.mark.parametrize("positions", [None, [0, 1, 2], (0, 1, 2)])
def test_all_frames_are_the_data_itself(data: FrameData, positions: list[int] | None) -> None:
    batch = data.batch(positions, 0.25)
    assert (batch.frames, batch.progress) == ((1, 4, 5), 0.25)
    assert batch.kspace is data.kspace
    assert batch.density is data.density
    assert batch.operator is data.operator
    assert batch.times is data.times


@pytest.mark.parametrize("positions", [[1], [0, 1], [2, 0], [2, 1, 0]])
def test_some_frames_come_with_their_samples_in_the_order_asked(data: FrameData, positions: list[int]) -> None:
    batch = data.batch(positions, 0.5)
    points = torch.cat([torch.arange(STARTS[p], STARTS[p + 1]) for p in positions])
    assert batch.frames == tuple(data.frames[p] for p in positions)
    assert torch.equal(batch.times, data.times[positions])
    assert torch.equal(batch.density, points.float())
    assert torch.equal(batch.kspace, data.kspace[:, points])
    assert batch.progress == 0.5
    images = random_complex(3, 9, 12)
    torch.testing.assert_close(batch.operator(images[positions]), data.operator(images)[:, points], rtol=0, atol=0)


def test_who_does_not_say_sees_the_end_of_the_budget(data: FrameData) -> None:
    assert (data.batch().progress, data.batch([1]).progress) == (1.0, 1.0)
