"""Cubic B-splines: constants and lines come out as they are, and curves are smooth."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.fields.spline import spline_map, spline_matrix

CPU = torch.device("cpu")
SIZES = [(9, 4), (12, 7), (5, 16), (1, 4)]  # pixels, control points


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(4, 24))
def test_rows_are_shares_that_sum_to_one(n_points: int, n_control: int) -> None:
    matrix = spline_matrix(n_points, n_control, CPU)
    assert matrix.shape == (n_points, n_control)
    assert (matrix >= 0).all()
    assert ((matrix > 0).sum(1) <= 4).all()
    torch.testing.assert_close(matrix.sum(1), torch.ones(n_points))


@pytest.mark.parametrize(("n_points", "n_control"), SIZES)
def test_control_points_on_a_line_give_that_line(n_points: int, n_control: int) -> None:
    # the control points span [-1, 1] with one beyond each edge
    control = 2 * (torch.arange(n_control) - 1) / (n_control - 3) - 1
    pixels = 2 * (torch.arange(n_points) + 0.5) / n_points - 1
    torch.testing.assert_close(spline_matrix(n_points, n_control, CPU) @ control, pixels)


def test_constant_and_linear_control_points_give_constant_and_linear_maps() -> None:
    rows, columns = spline_matrix(9, 5, CPU), spline_matrix(12, 7, CPU)
    torch.testing.assert_close(spline_map(torch.full((2, 5, 7), 3.0), rows, columns), torch.full((2, 9, 12), 3.0))
    y, x = torch.arange(5.0)[:, None], torch.arange(7.0)
    shown = spline_map(2 * y - 3 * x, rows, columns)
    down, across = shown.diff(dim=0), shown.diff(dim=1)
    torch.testing.assert_close(down, torch.full_like(down, 2 * 2 / 9))  # 2 spaces between control points over 9 pixels
    torch.testing.assert_close(across, torch.full_like(across, -3 * 4 / 12))


def test_the_second_derivative_has_no_jump() -> None:
    curve = spline_matrix(400, 8, CPU).double() @ torch.tensor([0.0, 1.0, -1.0, 2.0, 0.0, -2.0, 1.0, 0.0]).double()
    bend = curve.diff().diff() * (400 / 5) ** 2
    assert float(bend.diff().abs().max()) < 0.15 * float(bend.abs().max())
    assert float(bend.abs().max()) > 1
