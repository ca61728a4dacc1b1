"""What methods share: the settings every one has, and how much of a slice fits in memory."""

import logging
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from dainr.machine.device import memory_bytes, resolve_device
from dainr.operators.fourier import frame_points
from dainr.operators.nufft import choose_backend, make_nufft
from dainr.prepare import PrepareConfig
from dainr.scan import Scan
from dainr.settings.bounds import check_bounds, within
from dainr.settings.build import LONGEST_S

log = logging.getLogger(__name__)

# complex images a frame: those a fit keeps (field, gradient, two moments, best state, prediction, checkpoint, result),
# and those a step needs while it renders (canonical space, images, their gradients, differences of the priors)
KEPT_COPIES, RENDERED_COPIES = 12, 24

NufftName = Literal["auto", "compiled", "finufft", "cufinufft", "sparse", "torchkbnufft"]


@dataclass(frozen=True)
class MethodConfig:
    """Settings every method has."""

    device: str = "auto"  # cpu, cuda, cuda:1; auto takes CUDA where it is
    seed: int = within(0, 0, 2**63 - 1)
    nufft: NufftName = "auto"
    checkpoint_every_s: float = within(20.0, 0, LONGEST_S)
    prepare: PrepareConfig = field(default_factory=PrepareConfig)

    def __post_init__(self) -> None:
        check_bounds(self)


AnyConfig = TypeVar("AnyConfig", bound=MethodConfig)


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
            if timings:
                times = ", ".join(f"{name} {1e3 * seconds:.1f} ms" for name, seconds in timings.items())
                log.info("NUFFT: %s, by the clock on one frame, forward and back (%s)", chosen, times)
                record["nufft_seconds_per_frame"] = {name: round(seconds, 5) for name, seconds in timings.items()}
            nufft = chosen  # type: ignore[assignment]
        else:
            make_nufft(nufft, points[:1], scan.matrix, n_coils, device)
    record["fourier"] = "fft" if scan.is_cartesian else nufft
    return replace(config, device=str(device), nufft=nufft), record


def frames_that_fit(scan: Scan, device: torch.device, subframes: int = 1) -> int:
    """How many frames, or subframes, of a slice a step may render at once within half of the memory."""
    frame = 8 * scan.matrix[0] * scan.matrix[1]
    free = memory_bytes(device) // 2 - KEPT_COPIES * frame * scan.n_frames
    return int(min(max(free // (RENDERED_COPIES * frame), 2), scan.n_frames * subframes))


def _binned(scan: Scan) -> np.ndarray:
    assert scan.frame is not None
    return scan.frame
