"""The objective of the warped field: in units of the noise, lowest near the truth, and each part in its time."""

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

from dainr.errors import BadRequest
from dainr.fields.warped import WarpedCine, WarpedConfig
from dainr.losses.robust import huber_data
from dainr.methods.dainr import objective
from dainr.methods.dainr.objective import FEW, Objective, ObjectiveConfig
from dainr.networks.restorer import Restorer
from dainr.operators import FrameData, acquisition
from tests.helper import random_complex

N_FRAMES, MATRIX, LINES, NOISE = 4, (12, 10), 5, 0.02
CONFIG = ObjectiveConfig()
NO_PRIORS = ObjectiveConfig(
    image_variation=0.0, canonical_variation=0.0, spatial_variation=0.0, sparsity=0.0, strain=0.0
)


def make(cyclic: bool = False) -> WarpedCine:
    """A field whose parts are all at work."""
    torch.manual_seed(0)
    maps = random_complex(3, *MATRIX, seed=5)
    config = WarpedConfig(
        maps=2, levels=3, log2_table=10, width=8, harmonics=2, motion_control=5, motion_modes=2, coil_control=4
    )
    times = [float(t) for t in range(N_FRAMES)]
    field = WarpedCine(config, times, MATRIX, maps / maps.abs().square().sum(0).sqrt(), cyclic)
    with torch.no_grad():
        field.grid.table.normal_(std=0.5)
        field.innovation.normal_(std=0.02)
        field.coil_correction.normal_(std=0.1)
        field.motion.normal_(std=0.1)
    return field


def lines(n_frames: int) -> np.ndarray:
    """Some lines of each frame, `readout sample 2`."""
    random = np.random.default_rng(1)
    ky = np.concatenate([random.permutation(MATRIX[0])[:LINES] - MATRIX[0] // 2 for _ in range(n_frames)]) / MATRIX[0]
    kx = (np.arange(MATRIX[1]) - MATRIX[1] // 2) / MATRIX[1]
    return np.stack(np.broadcast_arrays(ky[:, None], kx), -1).astype(np.float32)


def measure(field: WarpedCine, frames: tuple[int, ...] = tuple(range(N_FRAMES))) -> FrameData:
    """Lines of some frames of the field itself, with noise."""
    trajectory = lines(len(frames))
    with torch.no_grad():
        images, maps = field.render([float(f) for f in frames], MATRIX), field.coil_maps()
    frame = np.repeat(np.arange(len(frames)), LINES)
    operator = acquisition(maps.numpy(), trajectory, frame, len(frames), True, "auto", torch.device("cpu"))
    clean = operator(images)
    return FrameData(
        kspace=clean + NOISE * random_complex(*clean.shape, seed=3),
        density=torch.rand(clean.shape[1], generator=torch.Generator().manual_seed(2)),
        times=torch.tensor(frames, dtype=torch.float64),
        operator=operator,
        frames=tuple(map(float, frames)),
        starts=tuple(range(0, clean.shape[1] + 1, LINES * MATRIX[1])),
    )


def scaled(field: WarpedCine, factor: float) -> WarpedCine:
    """A field whose images are brighter by a factor."""
    again = make(field.cyclic)
    again.load_state_dict(field.state_dict())
    with torch.no_grad():
        again.innovation.mul_(factor)
        again.value.layers[-1].weight.mul_(factor)
        again.value.layers[-1].bias.mul_(factor)
    return again


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("cyclic", [False, True])
def test_the_unit_of_the_data_does_not_matter(progress: float, cyclic: bool) -> None:
    field = make(cyclic)
    data, factor = measure(field), 37.0
    brighter = replace(data, kspace=factor * data.kspace)
    ours = Objective(CONFIG, NOISE)(field, data.batch(None, progress))
    theirs = Objective(CONFIG, factor * NOISE)(scaled(field, factor), brighter.batch(None, progress))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=0.0)
    assert not torch.isclose(ours, Objective(CONFIG, factor * NOISE)(field, data.batch(None, progress)), rtol=0.1)


@pytest.mark.parametrize("cyclic", [False, True])
def test_what_stands_still_counts_as_much_at_several_subframes(cyclic: bool) -> None:
    field = make(cyclic)
    with torch.no_grad():
        field.innovation.copy_(field.innovation[:1].expand_as(field.innovation))
        for network in (field.basis, field.motion_basis):
            torch.nn.init.zeros_(network.layers[-1].weight)
    data = measure(field)
    n = N_FRAMES * LINES
    maps, cpu = data.operator.maps.detach().numpy(), torch.device("cpu")
    every_line = acquisition(maps, lines(N_FRAMES), np.arange(n), n, True, "auto", cpu)
    subframes = tuple(frame + move for frame in data.frames for move in np.linspace(-0.4, 0.4, LINES).tolist())
    parted = replace(
        data,
        frames=subframes,
        starts=tuple(range(0, n * MATRIX[1] + 1, MATRIX[1])),
        times=torch.tensor(subframes),
        operator=every_line,
    )
    ours, theirs = (
        float(Objective(CONFIG, NOISE, Doubling())(field, d.batch(None, 0.9)).detach()) * len(d.frames)
        for d in (data, parted)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("name", ["grid.table", "value.layers.0.weight", "motion", "coil_correction", "innovation"])
def test_it_is_lower_at_the_truth_than_away_from_it(name: str) -> None:
    field = make()
    batch, objective = measure(field).batch(), Objective(CONFIG, NOISE)
    at_truth = float(objective(field, batch).detach())
    with torch.no_grad():
        part = field.get_parameter(name)
        part += 0.3 * torch.randn(part.shape, generator=torch.Generator().manual_seed(4))
    assert float(objective(field, batch).detach()) > 1.2 * at_truth


def test_every_part_of_the_field_is_fitted() -> None:
    field = make()
    Objective(CONFIG, NOISE)(field, measure(field).batch()).backward()
    for name, parameter in field.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def per_frame(field: WarpedCine, data: FrameData, positions: list[int] | None, config: ObjectiveConfig) -> float:
    """The objective over one pixel, summed over the frames."""
    with torch.no_grad():
        batch = data.batch(positions)
        return float(Objective(config, NOISE)(field, batch)) * (max(batch.frames) - min(batch.frames) + 1)


def test_without_variation_in_time_the_windows_of_a_series_add_up_to_it() -> None:
    field = make()
    data, config = measure(field), replace(CONFIG, image_variation=0.0, canonical_variation=0.0)
    whole = per_frame(field, data, None, config)
    assert per_frame(field, data, [0, 1], config) + per_frame(field, data, [2, 3], config) == pytest.approx(whole, 1e-4)


def test_variation_in_time_counts_within_a_window_and_around_a_cycle_only_for_the_whole() -> None:
    line, cycle = make(cyclic=False), make(cyclic=True)
    cycle.load_state_dict(line.state_dict())
    for field in (line, cycle):  # harmonics of another period: make the two fields equal
        for network in (field.basis, field.motion_basis):
            torch.nn.init.zeros_(network.layers[-1].weight)
    data = measure(line)
    parts = {f.cyclic: per_frame(f, data, [1, 2], CONFIG) for f in (line, cycle)}
    assert parts[True] == pytest.approx(parts[False], rel=1e-5)
    assert per_frame(cycle, data, None, CONFIG) > per_frame(line, data, None, CONFIG) + 1e-3


def test_frames_without_readouts_are_left_out_of_the_data_term() -> None:
    field = make()
    data = measure(field, (0, 3))
    ours = per_frame(field, data, None, NO_PRIORS) * MATRIX[0] * MATRIX[1]
    with torch.no_grad():
        images = field.render([0.0, 3.0], MATRIX)
        weight = torch.ones_like(data.density)
        theirs = huber_data(images, field.coil_maps(), data.batch(), weight, NOISE, CONFIG.threshold)
    assert ours == pytest.approx(float(theirs), rel=1e-4)


def test_priors_count_by_their_weights() -> None:
    field = make()
    data = measure(field)
    base = per_frame(field, data, None, NO_PRIORS)
    for name in ("image_variation", "canonical_variation", "spatial_variation", "sparsity", "strain"):
        once, twice = (per_frame(field, data, None, replace(NO_PRIORS, **{name: w})) - base for w in (1.0, 2.0))
        assert once > 0
        assert twice == pytest.approx(2 * once, rel=1e-2)


def gradient(field: WarpedCine, data: FrameData, progress: float, name: str) -> Tensor | None:
    field.zero_grad(set_to_none=True)
    Objective(CONFIG, NOISE)(field, data.batch(None, progress)).backward()
    return field.get_parameter(name).grad


@pytest.mark.parametrize(
    ("name", "begins"), [("innovation", CONFIG.innovation_from), ("coil_correction", CONFIG.coil_maps_from)]
)
def test_innovation_and_coil_maps_are_fitted_after_their_share_of_the_budget(name: str, begins: float) -> None:
    field = make()
    data = measure(field)
    assert gradient(field, data, begins - 0.01, name) is None
    after = gradient(field, data, begins, name)
    assert after is not None
    assert after.any()
    assert gradient(field, data, begins - 0.01, "grid.table") is not None


def test_before_its_share_the_innovation_is_not_there() -> None:
    field, without = make(), make()
    data = measure(field)
    torch.nn.init.zeros_(without.innovation)
    early, late = (
        [Objective(CONFIG, NOISE)(f, data.batch(None, progress)).detach() for f in (field, without)]
        for progress in (CONFIG.innovation_from - 0.01, 0.9)
    )
    assert early[0] == early[1]
    assert late[0] != late[1]


def test_the_density_weight_is_gone_at_its_share_of_the_budget() -> None:
    field = make()
    data = measure(field)
    data.kspace.mul_(1.1)  # away from the truth, by more where the signal is
    other = replace(data, density=data.density.flip(0))

    def difference(progress: float) -> float:
        with torch.no_grad():
            ours, theirs = (float(Objective(CONFIG, NOISE)(field, d.batch(None, progress))) for d in (data, other))
        return abs(ours - theirs) / ours

    early, later, last = (difference(p) for p in (0.3, 0.5, 0.66))
    assert early > later > last > 0
    assert difference(CONFIG.density_until) == difference(1.0) == 0


def test_the_scale_of_the_density_does_not_matter_at_the_end_or_the_start() -> None:
    field = make()
    data = measure(field)
    other = replace(data, density=1000 * data.density + 999 * 0.02)  # as 1000 times what is raised to a power
    for progress in (0.0, 0.4, 1.0):
        ours, theirs = (Objective(CONFIG, NOISE)(field, d.batch(None, progress)) for d in (data, other))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0.0},
        {"strain": -1.0},
        {"sparsity": -0.1},
        {"density_until": 0.0},
        {"innovation_from": 1.5},
        {"coil_maps_from": -0.1},
    ],
)
def test_weights_that_make_no_sense_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(BadRequest, match="choose"):
        ObjectiveConfig(**changes)


class Doubling(Restorer):
    """Stands for a network: expects the frames twice as bright in the upper half of the image, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, series: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        where = torch.zeros(MATRIX)
        where[: MATRIX[0] // 2] = 1
        return series * (1 + where), where


def test_the_prediction_is_made_once_from_its_time_on() -> None:
    field, restorer = make(), Doubling()
    data, objective = measure(field), Objective(CONFIG, NOISE, restorer)
    before = CONFIG.prediction_from - 0.01
    assert objective(field, data.batch(None, before)) == Objective(CONFIG, NOISE)(field, data.batch(None, before))
    assert (restorer.calls, "p" in objective.state()) == (0, False)
    for progress in (CONFIG.prediction_from, 0.9):
        batch = data.batch(None, progress)
        with torch.no_grad():
            images = field(batch)
            added = objective(field, batch) - Objective(CONFIG, NOISE)(field, batch)
        expected = CONFIG.prediction / NOISE * images[:, : MATRIX[0] // 2].abs().sum() / images.numel()
        torch.testing.assert_close(added, expected, rtol=1e-2, atol=1e-3)
    assert restorer.calls == 1


def test_parts_of_a_step_are_held_to_their_own_frames_of_the_prediction() -> None:
    field = make()
    data, objective = measure(field), Objective(CONFIG, NOISE, Doubling())
    with torch.no_grad():
        objective(field, data.batch([0, 1]))
        expected, _ = Doubling()(field(data.batch()))
        images = field(data.batch([2, 3]))
        added = objective(field, data.batch([2, 3])) - Objective(CONFIG, NOISE)(field, data.batch([2, 3]))
    missed = (images - expected[2:])[:, : MATRIX[0] // 2].abs().sum()
    torch.testing.assert_close(added, CONFIG.prediction / NOISE * missed / images.numel(), rtol=1e-2, atol=1e-3)


def test_a_resumed_objective_keeps_its_prediction() -> None:
    field, restorer = make(), Doubling()
    data, objective = measure(field), Objective(CONFIG, NOISE, Doubling())
    first = objective(field, data.batch())
    again = Objective(CONFIG, NOISE, restorer)
    again.load_state(objective.state())
    assert torch.equal(again(field, data.batch()), first)
    assert restorer.calls == 0


def test_where_many_samples_are_measured_what_fights_their_noise_weighs_more() -> None:
    field = make()
    data = measure(field)
    samples = LINES * MATRIX[1] / (MATRIX[0] * MATRIX[1])  # a pixel and frame
    base = per_frame(field, data, None, NO_PRIORS)
    for name, factor in (("spatial_variation", math.sqrt(samples / FEW)), ("image_variation", 1.0)):
        with_prior = replace(NO_PRIORS, **{name: 1.0})
        with mock.patch.object(objective, "FEW", 10.0):
            plain = per_frame(field, data, None, with_prior) - base
        assert per_frame(field, data, None, with_prior) - base == pytest.approx(factor * plain, rel=1e-3)
