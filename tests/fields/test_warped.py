"""The warped field: canonical space carried to every frame, at any time and on any matrix."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dainr.errors import BadRequest
from dainr.fields.bandlimited import resample
from dainr.fields.hash_motion import HashMotion
from dainr.fields.warped import GAIN, WarpedCine, WarpedConfig
from dainr.operators.batch import FrameModel, RefinesCoilMaps
from tests.fields import batch
from tests.helper import random_complex

TIMES, MATRIX = [0.0, 0.1, 0.3, 0.35, 0.5], (9, 12)  # not evenly spaced, not square
SMALL: dict[str, Any] = {
    "maps": 3,
    "levels": 3,
    "log2_table": 10,
    "width": 8,
    "harmonics": 2,
    "motion_control": 6,
    "motion_modes": 2,
    "coil_control": 4,
}


def unit_maps(matrix: tuple[int, int] = MATRIX) -> Tensor:
    maps = random_complex(3, *matrix, seed=5)
    return maps / maps.abs().square().sum(0).sqrt()


def make(
    cyclic: bool = False,
    motion: bool = True,
    times: list[float] = TIMES,
    matrix: tuple[int, int] = MATRIX,
    **other: Any,
) -> WarpedCine:
    """A field of random weights whose table, innovation and coil correction are not near zero."""
    torch.manual_seed(0)
    field = WarpedCine(WarpedConfig(**SMALL | other), times, matrix, unit_maps(matrix), cyclic)
    with torch.no_grad():
        field.grid.table.normal_()
        field.innovation.normal_(std=0.05)
        field.coil_correction.normal_(std=0.1)
        field.motion.normal_(std=0.3) if motion else field.motion.zero_()
    return field.requires_grad_(False)


def hold(network: torch.nn.Module, value: float) -> None:
    """Make a network give one value whatever it is asked."""
    last = network.layers[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, value)


def largest_change(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / a.abs().max())


def test_without_motion_the_images_are_canonical_space() -> None:
    frames = [0.0, 1.0, 2.5]
    still, moving = make(motion=False).series(frames, MATRIX), make().series(frames, MATRIX)
    torch.testing.assert_close(still.images, still.canonical, rtol=1e-4, atol=1e-5)
    assert not still.control.any()
    torch.testing.assert_close(moving.canonical, still.canonical)
    assert largest_change(still.images, moving.images) > 0.1


@pytest.mark.parametrize(("axis", "shift"), [(0, (0, 1)), (1, (1, 0))], ids=["x", "y"])
def test_a_motion_of_one_pixel_shifts_the_image_by_one_pixel(axis: int, shift: tuple[int, int]) -> None:
    field = make(motion=False, motion_modes=1)
    hold(field.motion_basis, 1.0)
    field.motion[0, axis] = 2 / MATRIX[1 - axis]  # coordinates span two over the field of view
    moved = torch.zeros(1, 2, *MATRIX)
    moved[:, axis] = 1.0
    torch.testing.assert_close(field.displacement([1.5], MATRIX), moved)
    torch.testing.assert_close(field.displacement([0.0, 1.5], (18, 24)), 2 * moved.repeat(2, 1, 2, 2))
    series = field.series([1.0], MATRIX)
    shifted = series.canonical[0].roll((-shift[0], -shift[1]), (0, 1))
    torch.testing.assert_close(series.images[0, 1:-2, 1:-2], shifted[1:-2, 1:-2], rtol=1e-3, atol=1e-4)


def test_motion_in_units_of_the_control_points_is_what_the_series_tells() -> None:
    field = make(motion_modes=1)
    hold(field.motion_basis, 1.0)
    control = field.series([0.0], MATRIX).control
    torch.testing.assert_close(control[0], field.motion[0] * (SMALL["motion_control"] - 3) / 2)


def test_motion_from_a_hash_grid_is_a_spline_through_what_the_grid_says() -> None:
    torch.manual_seed(0)
    field = WarpedCine(WarpedConfig(**SMALL | {"motion": "hash"}), TIMES, MATRIX, unit_maps(MATRIX), cyclic=False)
    assert isinstance(field.motion, HashMotion)
    with torch.no_grad():
        field.motion.grid.table.normal_()
    modes = field.motion()
    assert modes.shape == (SMALL["motion_modes"], 2, SMALL["motion_control"], SMALL["motion_control"])
    free = WarpedCine(WarpedConfig(**SMALL), TIMES, MATRIX, unit_maps(MATRIX), cyclic=False)
    assert isinstance(free.motion, torch.nn.Parameter)
    with torch.no_grad():
        free.motion.copy_(modes)
        free.motion_basis.load_state_dict(field.motion_basis.state_dict())
    frames = [0.0, 1.5]
    torch.testing.assert_close(field.displacement(frames, MATRIX), free.displacement(frames, MATRIX))
    field.displacement(frames, MATRIX).square().sum().backward()
    assert field.motion.grid.table.grad is not None and field.motion.grid.table.grad.abs().sum() > 0
    moved = {id(p) for group in field.parameter_groups() for p in group["params"]}
    assert all(id(p) in moved for p in field.parameters())


@pytest.mark.parametrize("matrix", [MATRIX, (14, 7)], ids=str)
def test_constant_innovation_is_that_constant_on_any_matrix_however_it_moves(matrix: tuple[int, int]) -> None:
    field = make()
    hold(field.value, 0.0)
    field.innovation[:] = torch.tensor([0.5, -2.0])
    images = field.render([0.0, 0.2, 0.5], matrix)
    torch.testing.assert_close(images, torch.full((3, *matrix), GAIN * (0.5 - 2j)), rtol=1e-4, atol=1e-4)
    assert not field.series([0.0, 1.5], matrix, innovate=False).images.any()


def test_the_innovation_of_some_frames_is_in_the_units_of_the_images() -> None:
    field = make(motion=False)
    hold(field.value, 0.0)
    torch.testing.assert_close(
        GAIN * field.innovation_of(slice(1, 3)), field.render(TIMES[1:3], MATRIX), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("cyclic", [False, True])
def test_forward_renders_the_frames_of_the_batch(cyclic: bool) -> None:
    field = make(cyclic)
    images = field(batch(TIMES, range(5)))
    assert images.shape == (5, *MATRIX)
    assert images.dtype == torch.complex64
    torch.testing.assert_close(field.render(TIMES, MATRIX), images, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(field(batch(TIMES[1:3], [1, 2])), images[1:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(field(batch([0.3, 0.0], [2, 0])), images[[2, 0]], rtol=1e-4, atol=1e-5)


def test_beyond_its_ends_a_cycle_goes_on_and_another_series_stands_still() -> None:
    cycle, line, n = make(cyclic=True), make(cyclic=False), len(TIMES)
    ends, around = (cycle.series(at, MATRIX).images for at in ([-0.3, n - 0.4], [n - 0.3, -0.4]))
    torch.testing.assert_close(ends, around, rtol=1e-4, atol=1e-4)
    assert largest_change(ends[1], cycle.series([n - 1.0], MATRIX).images[0]) > 1e-3
    ends, still = (line.series(at, MATRIX).images for at in ([-0.3, n - 0.4], [0.0, n - 1.0]))
    torch.testing.assert_close(ends, still, rtol=1e-5, atol=1e-5)


def test_half_way_between_frames_the_innovation_is_the_mean_of_both() -> None:
    field = make(motion=False)
    hold(field.basis, 0.0)
    before, between, after = field.render([0.1, 0.2, 0.3], MATRIX)
    torch.testing.assert_close(between, 0.5 * (before + after), rtol=1e-4, atol=1e-5)
    assert largest_change(before, after) > 1e-2


@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("time", [0.05, 0.0999999, 0.1, 0.2999999, 0.4])
def test_a_small_step_in_time_changes_little(cyclic: bool, time: float) -> None:
    field = make(cyclic)
    near, far = field.render([time], MATRIX), field.render([time + 2e-6], MATRIX)
    assert largest_change(near, far) < 1e-3
    assert largest_change(field.render([0.0], MATRIX), field.render([0.3], MATRIX)) > 1e-2


def test_frames_before_the_first_and_after_the_last_show_those() -> None:
    images = make().render([-5.0, 0.0, 0.5, 99.0], MATRIX)
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[2], images[3])


def test_a_finer_matrix_passes_through_the_pixels_of_the_coarser() -> None:
    field = make(motion=False)
    coarse, fine = field.render([0.2], MATRIX)[0], field.render([0.2], (27, 36))[0]
    torch.testing.assert_close(fine[1::3, 1::3], coarse, rtol=1e-3, atol=1e-3)


def test_rendering_another_matrix_leaves_the_first_as_it_was() -> None:
    field = make()
    before = field.render(TIMES, MATRIX)
    assert field.render([0.1], (5, 31)).shape == (1, 5, 31)
    assert torch.equal(field.render(TIMES, MATRIX), before)


def test_a_change_of_the_weights_is_seen_at_once() -> None:
    field = make()
    before = field.render(TIMES, MATRIX)
    field.grid.table.mul_(2)
    assert largest_change(before, field.render(TIMES, MATRIX)) > 0.1


def test_a_cycle_ends_where_it_starts_and_another_series_does_not() -> None:
    cycle, line = make(cyclic=True), make(cyclic=False)
    assert largest_change(cycle.displacement([5.0], MATRIX), cycle.displacement([0.0], MATRIX)) < 1e-3
    assert largest_change(line.displacement([4.0], MATRIX), line.displacement([0.0], MATRIX)) > 0.05
    assert largest_change(line.displacement([5.0], MATRIX), line.displacement([0.0], MATRIX)) > 0.05


def test_saved_state_holds_all_but_the_coil_maps_it_was_given() -> None:
    field, again = make(cyclic=True), make(cyclic=True, motion=False)
    state = field.state_dict()
    assert bool(state["is_cyclic"]) is True
    assert bool(make(cyclic=False).state_dict()["is_cyclic"]) is False
    assert "frame_times" in state
    assert "base_maps" not in state
    again.load_state_dict(state)
    assert torch.equal(again.render([0.2], MATRIX), field.render([0.2], MATRIX))


def test_a_field_saved_before_there_were_courses_is_as_it_was() -> None:
    field, again = make(), make(motion=False)
    state = {name: value for name, value in field.state_dict().items() if name != "course"}
    again.load_state_dict(state)
    assert torch.equal(again.render([0.2], MATRIX), field.render([0.2], MATRIX))


def test_the_maps_start_with_their_courses_and_are_half_way_between_them() -> None:
    field = make(motion=False)
    field.innovation.zero_()
    courses = random_complex(len(TIMES), field.config.maps)
    field.start_courses(courses)
    expected = torch.einsum("tk,kyx->tyx", courses, field.canonical_maps(MATRIX))
    canonical = field.series([0.0, 1.0, 2.0, 3.0, 4.0], MATRIX).canonical
    torch.testing.assert_close(canonical, expected, rtol=1e-4, atol=1e-4)
    between = field.series([2.5], MATRIX).canonical
    torch.testing.assert_close(between[0], 0.5 * (canonical[2] + canonical[3]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.0, 1.0]], ids=["one frame", "two at the same time"])
def test_short_and_odd_series_can_be_rendered(times: list[float]) -> None:
    assert make(times=times).render([0.0, 0.5], MATRIX).isfinite().all()


def smooth_image(n: int) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, n), torch.linspace(-1, 1, n), indexing="ij")
    return torch.polar(1.5 * torch.exp(-3 * (x**2 + (y - 0.2) ** 2)) + 0.3, 0.5 * x)


def test_a_finer_field_continues_where_a_coarser_one_of_fewer_coils_ended() -> None:
    coarse, fine = (
        WarpedCine(WarpedConfig(**SMALL), TIMES, matrix, maps, False, finest=27)
        for matrix, maps in ((MATRIX, unit_maps(MATRIX)[:2]), ((27, 36), unit_maps((27, 36))))
    )
    with torch.no_grad():
        coarse.grid.table.normal_()
        coarse.innovation.normal_(std=0.05)
        fine.continue_from(coarse)
        assert torch.equal(fine.grid.table, coarse.grid.table)
        torch.testing.assert_close(fine.displacement([1.0], MATRIX), coarse.displacement([1.0], MATRIX))
        theirs = resample(torch.view_as_complex(coarse.innovation), (27, 36))
        torch.testing.assert_close(torch.view_as_complex(fine.innovation), theirs)


def test_coil_maps_are_corrected_and_of_unit_norm() -> None:
    field = make()
    maps = field.coil_maps()
    assert largest_change(field.base_maps, maps) > 0.05
    torch.testing.assert_close(maps.abs().square().sum(0), torch.ones(MATRIX), rtol=1e-3, atol=1e-3)
    field.coil_correction.zero_()
    torch.testing.assert_close(field.coil_maps(), field.base_maps, rtol=1e-3, atol=1e-4)


def test_without_control_points_the_coil_maps_are_kept() -> None:
    field = make(coil_control=0)
    assert field.coil_maps() is field.base_maps


def test_it_is_a_model_that_refines_coil_maps() -> None:
    assert isinstance(make(), FrameModel)
    assert isinstance(make(), RefinesCoilMaps)
    assert not isinstance(torch.nn.Identity(), RefinesCoilMaps)


@pytest.mark.parametrize("coil_control", [0, 4])
def test_parameter_groups_hold_every_parameter_once(coil_control: int) -> None:
    field = make(coil_control=coil_control)
    grouped = [id(p) for group in field.parameter_groups() for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in field.parameters())
    decaying = {id(p) for group in field.parameter_groups() if group["decay"] for p in group["params"]}
    networks = (field.value, field.basis, field.motion_basis)
    assert decaying == {id(p) for network in networks for p in network.parameters()}


def test_the_same_seed_draws_the_same_field() -> None:
    ours, theirs = make().state_dict(), make().state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@pytest.mark.parametrize(
    "changes",
    [{"maps": 0}, {"width": 0}, {"motion_control": 3}, {"motion_modes": 0}, {"coil_control": 3}, {"levels": 0}],
)
def test_impossible_sizes_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(BadRequest, match="choose"):
        WarpedConfig(**changes)
