"""How crowded samples are: on the grid, between its cells, in frames of their own."""

import torch

from dainr.operators.crowding import Crowding

CPU = torch.device("cpu")


def test_on_the_grid_every_cell_counts_its_samples() -> None:
    points = torch.tensor([[0, 0], [1, 2], [1, 2], [-4, -3], [1, 2]]) / torch.tensor([8, 6])
    crowding = Crowding(points, [4, 1], (8, 6), CPU)  # the last of them is of another frame
    assert crowding(torch.ones(5)).tolist() == [1, 2, 2, 1, 1]
    assert crowding(torch.tensor([1.0, 1, 0, 1, 0])).tolist()[:2] == [1, 1]


def test_spokes_are_crowded_at_the_centre_and_alone_outside() -> None:
    angle = torch.arange(9) * torch.pi / 9
    radius = torch.arange(-32, 32) / 64 * 0.99
    points = torch.stack([angle.sin()[:, None] * radius, angle.cos()[:, None] * radius], -1).reshape(-1, 2)
    crowded = Crowding(points, [len(points)], (64, 64), CPU)(torch.ones(len(points))).reshape(9, 64)
    assert crowded[:, 32].min() > 8
    outer = crowded[:, radius.abs() > 0.3]
    assert outer.min() > 0.4 and outer.max() < 2


def test_a_frame_without_samples_takes_none_from_the_others() -> None:
    crowding = Crowding(torch.zeros(2, 2), [1, 0, 1], (4, 4), CPU)
    assert crowding(torch.ones(2)).tolist() == [1, 1]
