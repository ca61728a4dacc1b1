"""The objective of the warped field: likelihood of the samples plus priors, all in units of the noise.

    sum_j w_j h(|A x - y|_j / sigma)
        + (l_x TV_t(x) + l_C TV_t(C) + l_S TV_r(C) + l_R |R|_1 + l_P m |x - P|_1) / sigma + l_D |grad D|^2

TV_t: temporal total variation, of the frames and of canonical space, where it follows the tissue; TV_r: spatial total
variation. R: innovation.
P: the frames as a network restores them, once, from the fit part of the way, where they move (m, networks/restorer.py).
|grad D|^2: squared strain of the deformation, summed over pixels and frames. w goes from the density to one during the
fit: the density makes the beginning fast, at the end it would amplify the noise. Because the likelihood is that of the
noise, one set of weights serves any number of coils, readouts and frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.errors import BadRequest
from dainr.fields.warped import GAIN, Series, WarpedCine
from dainr.losses.robust import huber_data
from dainr.losses.smoothness import magnitude, spatial_variation, strain_energy, temporal_variation
from dainr.networks.restorer import Restorer
from dainr.operators.batch import Batch, FrameModel

ROUNDING = 1e-3  # of the noise standard deviation: what counts as zero in a magnitude
CENTRE = 0.02  # added to the density, so that the k-space centre counts from the first step


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the priors and the course of the fit; shares are of its budget."""

    threshold: float = 3.0  # noise standard deviations beyond which a residual counts linearly
    image_variation: float = 0.05  # l_x
    canonical_variation: float = 0.4  # l_C
    spatial_variation: float = 0.05  # l_S
    sparsity: float = 0.06  # l_R
    strain: float = 1.0  # l_D
    prediction: float = 0.3  # l_P
    density_until: float = 0.67  # when the density weight is gone
    innovation_from: float = 0.1
    coil_maps_from: float = 0.2
    prediction_from: float = 0.6

    def __post_init__(self) -> None:
        variations = (self.image_variation, self.canonical_variation, self.spatial_variation)
        if min(*variations, self.sparsity, self.strain, self.prediction) < 0 or not self.threshold > 0:
            raise BadRequest("the objective", "a weight is negative or the threshold not positive", "choose others")
        shares = (self.innovation_from, self.coil_maps_from, self.prediction_from)
        if not all(0 <= share <= 1 for share in shares) or self.density_until <= 0:
            raise BadRequest("the objective", "a share of the budget is not between 0 and 1", "choose one that is")


class Objective:
    """The objective as a loss, per pixel and frame. `noise_std` is that of a complex sample, in the data's units."""

    def __init__(self, config: ObjectiveConfig, noise_std: float, restorer: Restorer | None = None) -> None:
        """Without a restorer there is no P, and no l_P."""
        self.config, self.noise_std, self.restorer = config, noise_std, restorer
        self.prediction: Complex[Tensor, "frame y x"] | None = None
        self.motion: Float[Tensor, "y x"] | None = None

    def state(self) -> dict[str, Tensor]:
        """What a fit that is resumed needs beside the model."""
        return {} if self.prediction is None or self.motion is None else {"p": self.prediction, "m": self.motion}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on with the P of a fit that was stopped."""
        self.prediction, self.motion = state.get("p"), state.get("m")

    def __call__(self, model: FrameModel, batch: Batch) -> Float[Tensor, ""]:
        """The objective of a warped field on a batch of neighbouring frames, or subframes."""
        assert isinstance(model, WarpedCine)
        config, progress = self.config, batch.progress
        shown = _without_gaps(batch.frames)
        series = model.series(shown, model.matrix, innovate=progress >= config.innovation_from)
        images = series.images
        if len(batch.frames) < len(shown):
            images = images[[shown.index(frame) for frame in batch.frames]]
        maps = model.coil_maps()
        if progress < config.coil_maps_from:
            maps = maps.detach()
        if self.restorer is not None and self.prediction is None and progress >= config.prediction_from:
            self.prediction, self.motion = self.restorer(_all_frames(model, len(batch.frames)))
        scale = 1 / series.images.numel()
        total = huber_data(images, maps, batch, scale * self._weight(batch), self.noise_std, config.threshold)
        return total + self._priors(model, series, shown, progress, scale)

    def _weight(self, batch: Batch) -> Float[Tensor, " point"]:
        power = max(0.0, 1 - batch.progress / self.config.density_until)
        weight = (batch.density + CENTRE) ** power
        return weight / weight.mean()

    def _priors(
        self, model: WarpedCine, series: Series, shown: Sequence[float], progress: float, scale: float
    ) -> Float[Tensor, ""]:
        """Those of differences in time are of what is shown, the others a mean over the subframes of every frame.

        Weights go into the terms, which then need no pass to be scaled.
        """
        config, noise, rounding = self.config, self.noise_std, ROUNDING * self.noise_std
        number = [round(frame) for frame in shown]  # subframes are nearest to their own frame
        frames = slice(number[0], number[-1] + 1)
        n_frames = number[-1] + 1 - number[0]
        cyclic, share = model.cyclic and n_frames == len(model.frame_times), n_frames / len(shown)
        pixels_per_control = model.matrix[0] * model.matrix[1] / (model.config.motion_control - 3) ** 2
        total = scale * share * config.strain * pixels_per_control * strain_energy(series.control)
        unit = scale / noise
        if config.image_variation:
            total = total + temporal_variation(series.images, cyclic, rounding, unit * config.image_variation)
        if config.canonical_variation:
            total = total + temporal_variation(series.canonical, cyclic, rounding, unit * config.canonical_variation)
        if config.spatial_variation:
            total = total + spatial_variation(series.canonical, rounding, share * unit * config.spatial_variation)
        if config.sparsity and progress >= config.innovation_from:
            total = total + magnitude(model.innovation_of(frames), rounding / GAIN, GAIN * unit * config.sparsity)
        if self.prediction is not None and self.motion is not None:
            images = series.images if share == 1 else _means(series.images, [n - number[0] for n in number])
            missed = self.motion * (images - self.prediction[frames])
            total = total + magnitude(missed, rounding, unit * config.prediction)
        return total


def _without_gaps(frames: Sequence[float]) -> list[float]:
    """Whole frame numbers with those between them that have no readouts; subframes as they are."""
    if all(float(frame).is_integer() for frame in frames):
        return [float(frame) for frame in range(int(min(frames)), int(max(frames)) + 1)]
    return list(frames)


def _means(images: Complex[Tensor, "subframe y x"], frame: list[int]) -> Complex[Tensor, "frame y x"]:
    """The mean over the subframes of each frame."""
    index = torch.tensor(frame, device=images.device)
    counts = torch.bincount(index)[:, None, None]
    return images.new_zeros(len(counts), *images.shape[1:]).index_add(0, index, images) / counts


@torch.no_grad()
def _all_frames(model: WarpedCine, at_once: int) -> Complex[Tensor, "frame y x"]:
    """The frames of the scan as the model has them now, rendered a few at a time."""
    numbers = [float(f) for f in range(len(model.frame_times))]
    parts = [numbers[i : i + at_once] for i in range(0, len(numbers), at_once)]
    return torch.cat([model.series(part, model.matrix).images for part in parts])
