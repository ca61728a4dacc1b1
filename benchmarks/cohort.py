"""Generated scenes that networks learn from and others that judge them, with complex references, and a plain training.

Scenes are those of `dainr.simulate.scenes`, one heartbeat each, seen through the coil maps they were made with.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Complex
from torch import Tensor, nn

from dainr.assess.scores import evaluate
from dainr.fit.adamw import AdamW, parameter_groups
from dainr.losses.learning import LossConfig, make_loss
from dainr.networks.unrolled import ARCHITECTURES
from dainr.networks.unrolled.unrolled import UnrolledNetwork
from dainr.operators.measured import Measurements
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.prepare.groups import measurements
from dainr.prepare.undersample import undersample
from dainr.scan import Scan
from dainr.simulate import SimulationConfig
from dainr.simulate.coils import coil_coefficients, coil_maps
from dainr.simulate.sampling import cartesian
from dainr.simulate.scenes import draw_scene
from dainr.simulate.simulate import simulate_cine

SNR, FOLD, SPOKES, CALIBRATION = 40.0, 8.0, 8, 4
DENSE_FOLD = 4.0  # of lines of variable density, for one coil
FIRST_TEST = 10_000  # number of the first scene that no network learns from
ROOM = 2**30  # bytes for the activations of a step, which are not computed twice then
WARM_UP, FLOOR = 0.05, 0.01  # of the steps, in which the rate rises; of the rate, at the end


@dataclass(frozen=True)
class Size:
    """How large scenes are."""

    matrix: int = 40
    frames: int = 6


@dataclass(frozen=True)
class Sampling:
    """Which samples of a scene are measured, through how many coils."""

    name: str
    pattern: str  # spokes, or of lines: uniform, vista, or fixed for one draw of vista that serves all
    fold: float = FOLD
    calibration: int = 0
    coils: int = 4


LINES = Sampling("lines", "uniform", calibration=CALIBRATION)
BARE = Sampling("lines, no centre", "uniform")
RADIAL = Sampling("spokes", "spokes")
ONE_MASK = Sampling("one coil, one mask", "fixed", DENSE_FOLD, CALIBRATION, coils=1)
KT = Sampling("one coil, k-t masks", "vista", DENSE_FOLD, CALIBRATION, coils=1)


@dataclass(frozen=True, eq=False)
class Case:
    """A scene as measured, and what it would have shown."""

    scan: Scan
    phase: Complex[np.ndarray, "frame y x"]

    @cached_property
    def _read(self) -> tuple[Measurements, float]:
        prepared = prepare_slice(self.scan, 0, PrepareConfig(holdout=0.0), 0)
        data = frame_data(prepared, ~prepared.held_out, "finufft", torch.device("cpu"))
        return measurements(prepared, data, cyclic=True), prepared.scale

    @property
    def measurements(self) -> Measurements:
        """What a network reads."""
        return self._read[0]

    @cached_property
    def truth(self) -> Complex[Tensor, "frame y x"]:
        """The complex reference, in the units of the measurements."""
        assert self.scan.reference is not None
        return torch.from_numpy(self.scan.reference[0] / self._read[1] * self.phase).to(torch.complex64)

    def scores(self, images: Complex[Tensor, "frame y x"]) -> tuple[float, float, float]:
        """PSNR, SSIM and dynamic PSNR of images of this scene."""
        found = evaluate(images.abs().numpy()[None], self.truth.abs().numpy()[None])
        return found.whole.psnr, found.whole.ssim, found.dynamic.psnr


def cohort(sampling: Sampling, count: int, size: Size, first: int = 0) -> list[Case]:
    """So many scenes, all measured in the same way."""
    return [draw_case(sampling, first + number, size) for number in range(count)]


def draw_case(sampling: Sampling, number: int, size: Size) -> Case:
    """The scene of that number, whose motion, phase, coils and noise depend on nothing else."""
    random = np.random.default_rng([number, 0])
    n = size.matrix
    y, x = np.meshgrid(*[np.arange(n) / n - 0.5] * 2, indexing="ij")
    terms = np.stack([np.ones_like(y), 2 * y, 2 * x, 4 * y * y, 4 * x * x, 4 * x * y])
    phase = np.exp(1j * np.tensordot(random.standard_normal(len(terms)), terms, 1))
    series = draw_scene(size.frames, n, random) * phase
    spokes = sampling.pattern == "spokes"
    drawn = SimulationConfig(
        pattern="radial" if spokes else "fixed",
        spokes=SPOKES,
        acceleration=1.0,
        coils=sampling.coils,
        snr=SNR,
        frames=size.frames,
        matrix=n,
        seed=number,
    )
    maps = coil_maps(coil_coefficients(sampling.coils, np.random.default_rng(number)), (n, n))
    scan = simulate_cine(series, drawn).changed(coil_maps=maps[None].astype(np.complex64), cyclic=True)
    if not spokes:
        scan = undersample(scan, mask(sampling, number, size))
    return Case(scan, np.broadcast_to(phase, series.shape))


def mask(sampling: Sampling, number: int, size: Size) -> Bool[np.ndarray, "x y frame"]:
    """Which lines of a scene are measured; every scene has lines of its own, but of a fixed mask."""
    n, fixed = size.matrix, sampling.pattern == "fixed"
    random = np.random.default_rng([0 if fixed else number, 1])
    trajectory, frame = cartesian(
        1 if fixed else size.frames,
        sampling.fold,
        (n, n),
        "vista" if fixed else sampling.pattern,
        random,
        sampling.calibration,
    )
    measured = np.zeros((n, n, frame.max() + 1), bool)
    measured[:, np.rint(trajectory[:, 0, 0] * n).astype(int) + n // 2, frame] = True
    return measured


def build(name: str, seed: int, **sizes: int | str) -> nn.Module:
    """A network as it is before it has learned anything; of its default sizes but for those given."""
    torch.manual_seed(seed)
    network = ARCHITECTURES[name]
    return network.build(network.Config(**sizes))


def train(
    network: nn.Module, cases: Sequence[Case], loss: LossConfig, steps: int, rate: float, seed: int
) -> list[float]:
    """So many steps of AdamW, each by one scene; the losses. Every scene is seen once a round, in random order."""
    if isinstance(network, UnrolledNetwork):
        network.room = ROOM
    optimiser = AdamW(parameter_groups(network, rate, 0.0), (0.9, 0.999))
    generator, losses, order = torch.Generator().manual_seed(seed), list[float](), list[int]()
    for step in range(steps):
        order = order or torch.randperm(len(cases), generator=generator).tolist()
        case, done = cases[order.pop()], step / steps
        now = (
            rate * min(1.0, (step + 1) / (WARM_UP * steps)) * (FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2)
        )
        for group in optimiser.param_groups:
            group["lr"] = now
        optimiser.zero_grad()
        value = make_loss(loss, reference=case.truth)(network, case.measurements, generator)
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    return losses


@torch.no_grad()
def judged(network: nn.Module, cases: Sequence[Case]) -> np.ndarray:
    """PSNR, SSIM and dynamic PSNR, means over scenes."""
    return np.mean([case.scores(network(case.measurements.of())) for case in cases], axis=0)


def gridded(cases: Sequence[Case]) -> np.ndarray:
    """The same of the gridded frames, from which a network starts."""
    return np.mean([case.scores(case.measurements.of().rhs) for case in cases], axis=0)
