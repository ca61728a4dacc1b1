"""The start of a fit: the field of a slice, drawn from the seed, and the cheap steps that bring it near its scan."""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Complex
from torch import Tensor
from torch.nn import functional

from dainr.fields.bandlimited import resample
from dainr.fields.field import DynamicField
from dainr.fields.pointwise import PointwiseField
from dainr.fields.warped import GAIN, WarpedCine
from dainr.fit.adamw import AdamW
from dainr.fit.loop import Fit
from dainr.losses import Loss, l1_loss
from dainr.methods.classical.grasp import GraspConfig, TemporalVariation
from dainr.methods.classical.solvers import admm
from dainr.methods.cycle import is_cyclic
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.contrast import contrast_courses
from dainr.methods.dainr.objective import Objective
from dainr.methods.slices import Slice
from dainr.networks.condition import FeatureMaps, restored_features, trunk_features
from dainr.networks.restorer import Restorer
from dainr.networks.weights import RANDOM, load_encoder, weights_of
from dainr.operators.batch import FrameData
from dainr.operators.gridding import grid_average
from dainr.prepare import Prepared
from dainr.prepare.coarse import halve
from dainr.prepare.frame_data import frame_data

log = logging.getLogger(__name__)

# of the least squares of canonical maps: rates of the table and of a network that is new, or fitted to coarse pixels.
# A momentum shorter than a fit's, for there is no noise of steps here: half the steps to the same distance.
TABLE_RATE, NETWORK_RATE, FITTED_NETWORK_RATE = 2e-2, 1e-2, 1e-3
START_BETAS = (0.7, 0.99)
CLASSICAL_ITERATIONS = 3  # of temporal total variation, before frames are restored: those the network was trained on


def build_pointwise(
    config: DainrConfig, frame_times: Sequence[float], matrix: tuple[int, int], features: FeatureMaps | None
) -> PointwiseField:
    """The published field of one slice, drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = PointwiseField(config.deformation, config.canonical, config.grid, frame_times, matrix, features)
    return model.to(config.device)


def build_warped(
    config: DainrConfig,
    frame_times: Sequence[float],
    matrix: tuple[int, int],
    coil_maps: Tensor,
    cyclic: bool,
    finest: int = 0,
) -> WarpedCine:
    """The warped field of one slice, drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = WarpedCine(config.warped, frame_times, matrix, coil_maps, cyclic, finest)
    return model.to(config.device)


def start_fit(
    config: DainrConfig,
    prepared: Prepared,
    data: FrameData,
    heldout: FrameData | None,
    gridded: Complex[Tensor, "frame y x"],
    place: tuple[int, int] = (0, 1),
) -> Fit:
    """Model, loss and optimiser of one slice; `gridded` are its gridded frames."""
    times, device = prepared.frame_times.tolist(), torch.device(config.device)
    if config.field == "pointwise":
        features = None
        if config.encoder != "none":
            log.info("slice %d: features of %d frames, weights %s", place[0], len(times), _weights(config))
            features = _features(config, prepared, data, gridded)
        model: DynamicField = build_pointwise(config, times, prepared.matrix, features)
        loss: Loss = l1_loss
    else:
        cyclic = is_cyclic(config.cyclic, prepared, gridded)
        log.info("slice %d: %s", place[0], "one cycle, its end joined to its start" if cyclic else "no closed cycle")
        maps = torch.from_numpy(prepared.coil_maps).to(device)
        model = build_warped(config, times, prepared.matrix, maps, cyclic)
        loss = Objective(config.objective, prepared.noise_std, _restorer(config, cyclic, place[0]))
    return Fit(model, loss, data, heldout, config.fit, config.seed, place)


def _features(config: DainrConfig, prepared: Prepared, data: FrameData, gridded: Tensor) -> FeatureMaps:
    """Of weights that restore frames, restored frames of a few classical iterations; else the published features."""
    network = load_encoder(config.encoder, config.encoder_weights, config.seed).to(gridded.device)
    if config.encoder_weights == RANDOM or not network.restores_frames:
        return trunk_features(network, gridded.abs())
    iterated = _iterated(Slice(prepared, data), gridded, CLASSICAL_ITERATIONS)
    return restored_features(Restorer(network, is_cyclic(config.cyclic, prepared, gridded), "iterated"), iterated)


@torch.no_grad()
def _iterated(part: Slice, gridded: Complex[Tensor, "frame y x"], iterations: int) -> Complex[Tensor, "frame y x"]:
    """The frames after a few iterations of temporal total variation."""
    settings = GraspConfig()
    variation = TemporalVariation(len(gridded), settings.weight * part.noise_std, settings.cyclic, gridded.device)
    return next(itertools.islice(admm(part, variation, settings.ridge, gridded), iterations - 1, None)).images


def _restorer(config: DainrConfig, cyclic: bool, index: int) -> Restorer | None:
    if config.encoder == "none":
        return None
    log.info("slice %d: a prior from restored frames, weights %s", index, _weights(config))
    return Restorer(load_encoder(config.encoder, config.encoder_weights, config.seed).to(config.device), cyclic)


def _weights(config: DainrConfig) -> str:
    return weights_of(config.encoder, config.encoder_weights)


def start_warped(model: WarpedCine, config: DainrConfig, part: Slice) -> None:
    """Bring a field near its scan: canonical image from the time average, the rest from half the resolution.

    Where contrast changes in place, its courses and their maps take the place of the average there.
    """
    average, coarse = grid_average(part.data), halve(part.prepared) if config.coarse_steps else None
    if coarse is None:
        maps = average.new_zeros(config.warped.maps, *model.matrix)
        maps[0] = average
        return start_maps(model, maps, config.start_steps, NETWORK_RATE)
    device = average.device
    half = Slice(coarse, frame_data(coarse, ~coarse.held_out, config.nufft, device))
    coils, times = torch.from_numpy(coarse.coil_maps).to(device), coarse.frame_times.tolist()
    small = build_warped(config, times, coarse.matrix, coils, model.cyclic, max(model.matrix))
    coarse_average = grid_average(half.data)
    start_maps(small, _first_maps(small, half, coarse_average), config.start_steps, NETWORK_RATE)
    course = replace(config.fit, iterations=config.coarse_steps, budget_s=0.0, validate_every=config.coarse_steps)
    objective = Objective(replace(config.objective, ease_from=1.0), coarse.noise_std)  # it is too unsteady to ease
    Fit(small, objective, half.data, None, course, config.seed).run()
    model.continue_from(small)
    with torch.no_grad():
        maps = resample(small.canonical_maps(coarse.matrix), model.matrix)
        maps[0] += average - resample(coarse_average[None], model.matrix)[0]
    return start_maps(model, maps, config.start_steps, FITTED_NETWORK_RATE)


def _first_maps(model: WarpedCine, part: Slice, average: Complex[Tensor, "y x"]) -> Complex[Tensor, "map y x"]:
    """The time average as the first map, or maps of courses, which the model then starts with."""
    n_maps, n_frames = model.config.maps, len(model.frame_times)
    if len(part.data.frames) == n_frames:
        found = contrast_courses(_iterated(part, part.gridded, 1), n_maps)
        if found is not None:
            log.info("slice %d: contrast changes in place: the fit starts from its courses", part.place[0])
            model.start_courses(found[1])
            return found[0]
    maps = average.new_zeros(n_maps, *average.shape)
    maps[0] = average
    return maps


def start_maps(model: WarpedCine, maps: Complex[Tensor, "map y x"], steps: int, network_rate: float) -> None:
    """Fit a field's canonical maps to given ones by least squares: a second's work that saves many costlier steps.

    The rates fall to half their first values.
    """
    target = torch.cat([maps.real, maps.imag]).flatten(1).T / GAIN
    rates = [
        {"params": [model.grid.table], "lr": TABLE_RATE, "weight_decay": 0.0},
        {"params": model.value.parameters(), "lr": network_rate, "weight_decay": 0.0},
    ]
    optimiser = AdamW(rates, START_BETAS)
    for step in range(steps):
        for group, rate in zip(optimiser.param_groups, (TABLE_RATE, network_rate), strict=True):
            group["lr"] = rate * (1 - 0.5 * step / steps)
        optimiser.zero_grad()
        functional.mse_loss(model.values(), target).backward()
        optimiser.step()
