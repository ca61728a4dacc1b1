"""What methods share: the device, the operators of a prepared slice, gridding, and the state of an unfinished run."""

import gc
import logging
import os
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor
from torch.nn import functional

from dainr import spool
from dainr.allocator import give_freed_memory_back
from dainr.errors import BadRequest, MissingBackend
from dainr.fit import Checkpoint
from dainr.operators.acquisition import acquisition
from dainr.operators.batch import FrameData
from dainr.operators.fourier import frame_points
from dainr.operators.nufft import choose_backend, make_nufft
from dainr.prepare import PrepareConfig, Prepared
from dainr.scan import Scan

log = logging.getLogger(__name__)

# complex images a frame: those a fit keeps (field, gradient, two moments, best state, prediction, checkpoint, result),
# and those a step needs while it renders (canonical space, images, their gradients, differences of the priors)
KEPT_COPIES, RENDERED_COPIES = 12, 24

NEARER = 0.49  # frames from its own to a moment, at most: it stays nearest to it, however unevenly that was measured

NufftName = Literal["auto", "compiled", "finufft", "cufinufft", "sparse", "torchkbnufft"]


@dataclass(frozen=True)
class MethodConfig:
    """Settings every method has."""

    device: str = "auto"  # cpu, cuda, cuda:1; auto takes CUDA where it is
    seed: int = 0
    nufft: NufftName = "auto"
    checkpoint_every_s: float = 20.0
    prepare: PrepareConfig = field(default_factory=PrepareConfig)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise BadRequest(f"seed={self.seed}", "it is out of range", "choose 0 to 2^63 - 1")


AnyConfig = TypeVar("AnyConfig", bound=MethodConfig)


@dataclass(frozen=True, eq=False)
class RunState:
    """An unfinished run: the fields of the slices that are done, and the checkpoint of the one in progress."""

    finished: dict[int, Checkpoint] = field(default_factory=dict)
    current: tuple[int, Checkpoint] | None = None


def resolve_device(name: str) -> torch.device:
    """The device of that name. Raises MissingBackend when CUDA is named and not here, BadRequest for other names."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise BadRequest(f"--device {name}", "there is no such device", "choose auto, cpu, cuda or cuda:0")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise MissingBackend(f"--device {name}", "torch sees no CUDA device", "use --device cpu")
        if (device.index or 0) >= count:
            raise MissingBackend(f"--device {name}", f"there are {count} CUDA devices", "choose a smaller number")
    return device


def resolve_common(scan: Scan, config: AnyConfig) -> tuple[AnyConfig, dict[str, Any]]:
    """The config with device and NUFFT backend decided, and the timings that decided it."""
    device = resolve_device(config.device)
    record: dict[str, Any] = {}
    nufft = "cufinufft" if config.nufft == "finufft" and device.type == "cuda" else config.nufft
    if not scan.is_cartesian:
        points = frame_points(scan.trajectory[0], _binned(scan)[0], scan.n_frames)
        n_coils = config.prepare.virtual_coils or scan.n_coils
        if nufft == "auto":
            chosen, timings = choose_backend(max(points, key=len), scan.matrix, n_coils, device)
            times = ", ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in timings.items())
            log.info("NUFFT: %s, by the clock on one frame, forward and back (%s)", chosen, times)
            record["nufft_seconds_per_frame"] = {name: round(seconds, 5) for name, seconds in timings.items()}
            nufft = chosen  # type: ignore[assignment]
        else:
            make_nufft(nufft, points[:1], scan.matrix, n_coils, device)
    record["fourier"] = "fft" if scan.is_cartesian else nufft
    return replace(config, device=str(device), nufft=nufft), record


def frames_that_fit(scan: Scan, device: torch.device, moments: int = 1) -> int:
    """How many frames, or moments, of a slice a step may render at once without taking more than half of the memory."""
    if device.type == "cuda":
        memory = torch.cuda.mem_get_info(device)[1]
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    frame = 8 * scan.matrix[0] * scan.matrix[1]
    free = memory // 2 - KEPT_COPIES * frame * scan.n_frames
    return int(min(max(free // (RENDERED_COPIES * frame), 2), scan.n_frames * moments))


def frame_data(
    prepared: Prepared, readouts: np.ndarray, nufft: str, device: torch.device, moments: int = 1
) -> FrameData:
    """Samples and operator of some readouts (a mask) of a prepared slice.

    With several moments a frame, its readouts in order of time are parted into as many, each measured at its mean time.
    Raises BadRequest when the times of the readouts are not known.
    """
    frames, position = _moments(prepared, readouts, moments)
    order = np.argsort(position, kind="stable")
    chosen, position = np.flatnonzero(readouts)[order], position[order]
    trajectory, density = prepared.trajectory[chosen], prepared.density[chosen]
    n_samples = trajectory.shape[1]
    starts = np.concatenate([[0], np.cumsum(np.bincount(position, minlength=len(frames)))]) * n_samples
    operator = acquisition(prepared.coil_maps, trajectory, position, len(frames), prepared.cartesian, nufft, device)
    kspace = np.ascontiguousarray(prepared.kspace[:, chosen]).reshape(len(prepared.kspace), -1)
    times = np.interp(frames, np.arange(len(prepared.frame_times)), prepared.frame_times)
    return FrameData(
        kspace=torch.from_numpy(kspace).to(device),
        density=torch.from_numpy(np.ascontiguousarray(density.reshape(-1))).to(device),
        times=torch.from_numpy(times),
        operator=operator,
        frames=tuple(frames.tolist()),
        starts=tuple(int(s) for s in starts),
    )


def _moments(prepared: Prepared, readouts: np.ndarray, moments: int) -> tuple[np.ndarray, np.ndarray]:
    """The frame numbers at which readouts are measured, and which of them each is measured at."""
    frame = prepared.frame[readouts]
    if moments == 1:
        return np.unique(frame.astype(np.float64), return_inverse=True)
    if prepared.number is None:
        raise BadRequest(
            f"moments={moments}", "the readouts of a frame are not measured one after another", "leave it out"
        )
    number = prepared.number[readouts]
    order = np.lexsort((number, frame))
    counts = np.bincount(frame)
    rank = np.arange(len(frame)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = np.empty(len(frame), np.int64)
    part[order] = frame[order] * moments + rank * moments // np.repeat(counts, counts)
    parts, position = np.unique(part, return_inverse=True)
    own = parts // moments
    mean = np.bincount(position, number) / np.bincount(position)
    return np.clip(mean, own - NEARER, own + NEARER), position


def end_slice(*results: np.ndarray) -> None:
    """Leave memory to the next slice: results that lie on disk are written there."""
    for result in results:
        spool.release(result)
    gc.collect()
    give_freed_memory_back()


@torch.no_grad()
def grid_frames(data: FrameData) -> Complex[Tensor, "frame y x"]:
    """The gridded frames A^H W y, brought to the scale of the data by least squares, one factor for the series."""
    images = data.operator.adjoint(data.kspace * data.density)
    return images * _least_squares_factor(images, data).abs()


@torch.no_grad()
def grid_average(data: FrameData) -> Complex[Tensor, "y x"]:
    """The time average gridded from the readouts of all frames together, brought to the scale of the data."""
    average = data.operator.adjoint(data.kspace * data.density).sum(0)
    series = average.expand(len(data.frames), *average.shape)
    return average * _least_squares_factor(series, data)


def closes_cycle(frames: Complex[Tensor, "frame y x"]) -> bool:
    """Whether the last frame leads to the first as one frame to the next: their blurred magnitudes differ no more."""
    if len(frames) < 4:
        return False
    blurred = functional.adaptive_avg_pool2d(
        frames.abs()[:, None], (max(1, frames.shape[1] // 8), max(1, frames.shape[2] // 8))
    )
    steps = (torch.roll(blurred, -1, 0) - blurred).flatten(1).norm(dim=1)
    return bool(steps[-1] <= steps[:-1].max())


def _least_squares_factor(images: Tensor, data: FrameData) -> Tensor:
    predicted = data.operator(images)
    weighted = (data.density * predicted).conj()
    return (weighted * data.kspace).sum() / (weighted * predicted).sum().real.clamp(min=torch.finfo().tiny)


def _binned(scan: Scan) -> np.ndarray:
    assert scan.frame is not None
    return scan.frame
