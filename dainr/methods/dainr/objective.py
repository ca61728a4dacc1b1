"""The objective of the warped field: likelihood of the samples plus priors, all in units of the noise.

    sum_j w_j h(|A x - y|_j / sigma)
        + (l_x TV_t(x) + l_C TV_t(C) + l_S TV_r(C) + l_R |R|_1 + l_P m |x - P|_1) / sigma + l_D |grad D|^2

TV_t: temporal total variation, of the frames and of canonical space, where it follows the tissue; TV_r: spatial total
variation. R: innovation. TV_r and |R| fight the noise of a pixel of A^H y, which grows with the root of the number of
samples: so do l_S and l_R, where these are many. Frames that TV_t and the threshold hold back are eased (easing.py).
P: the frames as a network restores them, once, from the fit part of the way, where they move (m, networks/restorer.py).
|grad D|^2: squared strain of the deformation, summed over pixels and frames. w goes from the density to one during the
fit: the density makes the beginning fast, at the end it would amplify the noise. Because the likelihood is that of the
noise, one set of weights serves any number of coils, readouts and frames.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.fields.warped import GAIN, Series, WarpedCine
from dainr.kernels.constant import constant
from dainr.losses.robust import huber_data
from dainr.losses.smoothness import magnitude, spatial_variation, strain_energy, temporal_variation
from dainr.methods.dainr.easing import Easing
from dainr.networks.restorer import Restorer
from dainr.operators.batch import Batch, FrameModel
from dainr.settings.bounds import check_bounds, within

ROUNDING = 1e-3  # of the noise standard deviation: what counts as zero in a magnitude
FEW = 0.14  # samples a pixel and frame, up to which l_S and l_R are as they are set
CENTRE = 0.02  # added to the density, so that the k-space centre counts from the first step


@dataclass(frozen=True)
class ObjectiveConfig:
    """Weights of the priors and the course of the fit; shares are of its budget."""

    # noise standard deviations beyond which a residual counts linearly
    threshold: float = within(3.0, 1e-6, 1e6)
    image_variation: float = within(0.05, 0, 1e6)  # l_x
    canonical_variation: float = within(0.4, 0, 1e6)  # l_C
    spatial_variation: float = within(0.05, 0, 1e6)  # l_S
    sparsity: float = within(0.06, 0, 1e6)  # l_R
    strain: float = within(0.2, 0, 1e6)  # l_D
    prediction: float = within(0.3, 0, 1e6)  # l_P
    density_until: float = within(0.67, 1e-6, 1000)  # when the density weight is gone
    ease_from: float = within(0.4, 0, 1)  # when frames that the priors hold back begin to be eased
    innovation_from: float = within(0.1, 0, 1)
    coil_maps_from: float = within(0.2, 0, 1)
    prediction_from: float = within(0.6, 0, 1)

    def __post_init__(self) -> None:
        check_bounds(self)


class Objective:
    """The objective as a loss, per pixel and frame. `noise_std` is that of a complex sample, in the data's units."""

    def __init__(self, config: ObjectiveConfig, noise_std: float, restorer: Restorer | None = None) -> None:
        """Without a restorer there is no P, and no l_P."""
        self.config, self.noise_std, self.restorer = config, noise_std, restorer
        self.prediction: Complex[Tensor, "frame y x"] | None = None
        self.motion: Float[Tensor, "y x"] | None = None
        self.easing: Easing | None = None

    def state(self) -> dict[str, Tensor]:
        """What a fit that is resumed needs beside the model."""
        state = {} if self.easing is None else {"squares": self.easing.squares, "share": self.easing.share}
        if self.prediction is not None and self.motion is not None:
            state |= {"p": self.prediction, "m": self.motion}
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on with the P and the easing of a fit that was stopped."""
        self.prediction, self.motion = state.get("p"), state.get("m")
        if "share" in state:
            self.easing = Easing(state["squares"].clone(), state["share"].clone())

    def phase(self, progress: float) -> tuple[bool, ...]:
        """Which parts have begun."""
        config = self.config
        begins = (config.innovation_from, config.coil_maps_from, config.ease_from)
        predicts = self.restorer is not None and progress >= config.prediction_from
        return *(progress >= begin for begin in begins), predicts

    def __call__(self, model: FrameModel, batch: Batch) -> Float[Tensor, ""]:
        """The objective of a warped field on a batch of neighbouring frames, or subframes."""
        assert isinstance(model, WarpedCine)
        config, progress = self.config, batch.progress
        shown = _without_gaps(batch.frames)
        series = model.series(shown, model.matrix, innovate=progress >= config.innovation_from)
        images = series.images
        if len(batch.frames) < len(shown):
            images = images[constant(tuple(map(shown.index, batch.frames)), torch.int64, images.device)]
        maps = model.coil_maps()
        if progress < config.coil_maps_from:
            maps = maps.detach()
        if self.restorer is not None and self.prediction is None and progress >= config.prediction_from:
            self.prediction, self.motion = self.restorer(_all_frames(model, len(batch.frames)))
        scale = 1 / series.images.numel()
        return self._data(model, images, maps, batch, scale) + self._priors(model, series, shown, batch, scale)

    def _data(self, model: WarpedCine, images: Tensor, maps: Tensor, batch: Batch, scale: float) -> Float[Tensor, ""]:
        """The likelihood; what it misses of each frame is seen."""
        easing = self._easing(model)
        number = constant(tuple(round(frame) for frame in batch.frames), torch.int64, images.device)
        threshold = torch.full_like(batch.density, self.config.threshold)
        if batch.progress >= self.config.ease_from:
            counts = constant(batch.counts, torch.int64, images.device)
            threshold *= easing.excess()[number].repeat_interleave(counts, output_size=len(threshold))
            easing.ease(number)
        squares = torch.empty_like(threshold)
        weight = scale * self._weight(batch)
        value = huber_data(images, maps, batch, weight, self.noise_std, threshold, squares)
        easing.see(squares / len(batch.kspace), number, batch.counts)
        return value

    def _easing(self, model: WarpedCine) -> Easing:
        if self.easing is None:
            self.easing = Easing.none(len(model.frame_times), model.frame_times.device)
        return self.easing

    def _weight(self, batch: Batch) -> Float[Tensor, " point"]:
        power = (1 - batch.clock / self.config.density_until).clamp(min=0)
        weight = (batch.density + CENTRE) ** power
        return weight / weight.mean()

    def _priors(
        self, model: WarpedCine, series: Series, shown: Sequence[float], batch: Batch, scale: float
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
        unit, still = scale / noise, scale / noise * _crowding(batch, n_frames * model.matrix[0] * model.matrix[1])
        of_steps = self._easing(model).of_steps(frames, cyclic)
        which = constant(tuple(n - number[0] for n in number), torch.int64, of_steps.device)
        steps = unit * of_steps[which]  # to what is shown next
        if config.image_variation:
            total = total + temporal_variation(series.images, cyclic, rounding, steps * config.image_variation)
        if config.canonical_variation:
            total = total + temporal_variation(series.canonical, cyclic, rounding, steps * config.canonical_variation)
        if config.spatial_variation:
            total = total + spatial_variation(series.canonical, rounding, share * still * config.spatial_variation)
        if config.sparsity and batch.progress >= config.innovation_from:
            total = total + magnitude(model.innovation_of(frames), rounding / GAIN, GAIN * still * config.sparsity)
        if self.prediction is not None and self.motion is not None:
            images = series.images if share == 1 else _means(series.images, [n - number[0] for n in number])
            missed = self.motion * (images - self.prediction[frames])
            total = total + magnitude(missed, rounding, unit * config.prediction)
        return total


def _crowding(batch: Batch, pixels: int) -> float:
    """How much stronger the noise of a pixel of A^H y is than where few samples are measured; at least one."""
    return math.sqrt(max(1.0, batch.kspace.shape[1] / pixels / FEW))


def _without_gaps(frames: Sequence[float]) -> list[float]:
    """Whole frame numbers with those between them that have no readouts; subframes as they are."""
    if all(float(frame).is_integer() for frame in frames):
        return [float(frame) for frame in range(int(min(frames)), int(max(frames)) + 1)]
    return list(frames)


def _means(images: Complex[Tensor, "subframe y x"], frame: list[int]) -> Complex[Tensor, "frame y x"]:
    """The mean over the subframes of each frame."""
    lengths = constant(tuple(Counter(frame).values()), torch.int64, images.device)  # they come frame by frame
    means = torch.segment_reduce(torch.view_as_real(images), "mean", lengths=lengths, unsafe=True)
    return torch.view_as_complex(means)


@torch.no_grad()
def _all_frames(model: WarpedCine, at_once: int) -> Complex[Tensor, "frame y x"]:
    """The frames of the scan as the model has them now, rendered a few at a time."""
    numbers = [float(f) for f in range(len(model.frame_times))]
    parts = [numbers[i : i + at_once] for i in range(0, len(numbers), at_once)]
    return torch.cat([model.series(part, model.matrix).images for part in parts])
