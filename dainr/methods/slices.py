"""What methods share that reconstruct slices in turn: preparing, resuming, one record, memory that is given back."""

import gc
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.cine import Cine
from dainr.fields.field import DynamicField
from dainr.fit.state import Checkpoint, FitState, Observer, RunState, of_the_run
from dainr.machine import disk
from dainr.machine.device import resolve_device
from dainr.machine.memory import give_freed_memory_back
from dainr.machine.shortage import memory_for
from dainr.methods.common import MethodConfig, resolve_common
from dainr.methods.recon import Recon, put_away
from dainr.operators import FrameData
from dainr.operators.gridding import grid_frames
from dainr.prepare import Prepared, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.prepare.steps import MEASURED
from dainr.scan import Scan

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice to reconstruct: its samples in the units of the fit, and its place among the slices."""

    prepared: Prepared
    data: FrameData  # of the readouts that are not held out
    place: tuple[int, int] = (0, 1)
    begun_at: float = field(default_factory=time.perf_counter)

    @property
    def noise_std(self) -> float:
        """Root mean square of the noise in a pixel of A^H y, which weights are measured in.

        The maps have unit norm, so it is that of a sample times sqrt(samples a frame and coil / pixels).
        """
        samples, frames = self.data.kspace.shape[1], len(self.data.frames)
        return self.prepared.noise_std * math.sqrt(samples / frames / math.prod(self.prepared.matrix))

    @cached_property
    def gridded(self) -> Complex[Tensor, "frame y x"]:
        """The gridded frames."""
        return grid_frames(self.data)


@dataclass(frozen=True, eq=False)
class SliceResult:
    """What became of a slice."""

    images: Complex[Tensor, "frame y x"]  # in the units of the fit
    state: FitState
    record: dict[str, Any]  # how it went, beside how it was prepared
    model: DynamicField | None = None
    seconds: dict[str, float] = field(default_factory=dict)  # of stages, which are summed over the slices
    error_map: Float[np.ndarray, "frame y x"] | None = None  # in the units of the fit
    kept: dict[str, Tensor] | None = None  # of a network that renders nothing but the images


@dataclass(frozen=True, eq=False)
class MadeSlice:
    """A slice that is reconstructed, in the units of the image."""

    images: Complex[np.ndarray, "frame y x"]
    gridded: Float[np.ndarray, "frame y x"]  # magnitudes of the gridded frames
    error_map: Float[np.ndarray, "frame y x"] | None
    scale: float  # image units per unit of the fit
    frame_times: Float[np.ndarray, " frame"]  # s
    record: dict[str, Any]
    result: SliceResult  # what is left of it, without images


@dataclass(frozen=True, eq=False)
class BesideRun:
    """Slices that were made before the run of their scan began, and who is told of each that is there."""

    made: Mapping[int, MadeSlice] = field(default_factory=dict)
    config: Any = None  # by which they were made: by another they are made anew
    tell: Callable[[int, MadeSlice], None] = lambda index, made: None


class _ErrorMaps:
    """The error maps of the slices, on disk; none where no slice has one."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.maps: np.ndarray | None = None

    def add(self, index: int, error_map: np.ndarray | None) -> None:
        """Keep that of a slice."""
        if error_map is None:
            return
        if self.maps is None:
            self.maps = disk.zeros(self.shape, np.float32)
        self.maps[index] = error_map
        disk.release(self.maps[index])


class SliceMethod:
    """A method that reconstructs the slices one by one; without a field, unless it overrides `of_slice`."""

    name: str
    Config: type[Any] = MethodConfig
    presets: tuple[str, ...] = ()
    cited_as: str  # how the images were made, for a methods section

    def reconstruct(
        self, part: Slice, config: Any, observers: Sequence[Observer]
    ) -> tuple[Complex[Tensor, "frame y x"], FitState]:
        """The images of a slice in the units of the fit, and how they came about."""
        raise TypeError(f"{type(self).__name__} reconstructs no slice")

    def of_slice(
        self, part: Slice, config: Any, observers: Sequence[Observer], begun: Checkpoint | None
    ) -> SliceResult:
        """A slice, or what is left to do of it. Images that were in progress are begun anew."""
        if begun is not None and begun.state.is_done:
            with of_the_run("the state to resume from"):
                shape = len(part.data.frames), *part.prepared.matrix
                images, state = begun.tensors["images"].reshape(shape), begun.state
        else:
            images, state = self.reconstruct(part, config, observers)
        return SliceResult(images, state, _summary(state))

    def citation(self, settings: Mapping[str, Any]) -> str:
        """How the images were made, for a methods section, by the settings of the run."""
        return self.cited_as

    def resolve(self, scan: Scan, config: Any) -> tuple[Any, dict[str, Any]]:
        """Device and NUFFT backend; nothing is held out, for nothing is validated."""
        config, record = resolve_common(scan, config)
        return replace(config, prepare=replace(config.prepare, holdout=0.0)), record

    def make(
        self,
        scan: Scan,
        index: int,
        config: Any,
        observers: Sequence[Observer] = (),
        begun: Checkpoint | None = None,
        place: tuple[int, int] | None = None,
    ) -> MadeSlice:
        """Reconstruct a slice, or what is left to do of it; `place`: what it is called, and of how many it is one."""
        place = place or (index, scan.n_slices)
        with memory_for(f"preparing slice {place[0]}"):
            part = _prepared_slice(scan, index, config, place)
            prepared = part.prepared
            gridded = np.abs(prepared.scale * part.gridded.cpu().numpy())
        with memory_for(f"reconstructing slice {place[0]}"):
            result = self.of_slice(part, config, observers, begun)
        if result.model is not None:
            put_away(result.model)
        return MadeSlice(
            images=prepared.scale * result.images.cpu().numpy(),
            gridded=gridded,
            error_map=None if result.error_map is None else prepared.scale * result.error_map,
            scale=prepared.scale,
            frame_times=prepared.frame_times,
            record={"prepare": prepared.record} | result.record,
            result=replace(result, images=torch.empty(0), error_map=None),
        )

    def __call__(
        self,
        scan: Scan,
        config: Any,
        observers: Sequence[Observer] = (),
        resume: RunState | None = None,
        beside: BesideRun = BesideRun(),
    ) -> Recon:
        """Reconstruct every slice. Resuming keeps the slices that are done.

        Raises Diverged and OutOfMemory. An observer that returns False ends the run with the step in progress, and
        leaves further slices out.
        """
        started, resume = time.perf_counter(), resume or RunState()
        images = disk.zeros((scan.n_slices, scan.n_frames, *scan.matrix), np.complex64)
        gridded, results, records = disk.zeros(images.shape, np.float32), list[SliceResult](), list[dict[str, Any]]()
        scales, times, errors, before = list[float](), np.zeros(0), _ErrorMaps(images.shape), 0.0
        for index in range(scan.n_slices):
            made = beside.made.get(index) if beside.config == config else None
            if made is None:
                made = self.make(scan, index, config, observers, resume.of_slice(index))
            else:
                before += sum(made.result.seconds.values())
            images[index], gridded[index] = made.images, made.gridded
            errors.add(index, made.error_map)
            records.append(made.record)
            results.append(made.result)
            scales.append(made.scale)
            times = made.frame_times if index == 0 else times
            beside.tell(index, made)
            del made
            _end_slice(images[index], gridded[index])
            if results[-1].state.stopped == "interrupted":
                break
        n, models = len(results), tuple(r.model for r in results if r.model is not None)
        networks = tuple(r.kept for r in results if r.kept is not None)
        return Recon(
            method=self.name,
            cine=cine_of(scan, images[:n], times, records[0]),
            record={"slices": records} | _totals(results, time.perf_counter() - started + before),
            gridded=gridded[:n],
            fields=models,
            scales=tuple(scales) if models or networks else (),
            histories=tuple(r.state for r in results) if models or networks else (),
            networks=networks,
            error_map=None if errors.maps is None else errors.maps[:n],
        )

    def restore(
        self,
        config: Any,
        matrix: tuple[int, int],
        finished: Mapping[int, Checkpoint],
        features: Mapping[str, Tensor],
    ) -> tuple[DynamicField, ...]:
        """There is no field."""
        return ()


def cine_of(scan: Scan, images: np.ndarray, times: np.ndarray, record: Mapping[str, Any]) -> Cine:
    """The images in the geometry of the scan; the record of a slice tells whether the times of frames are measured."""
    measured = record["prepare"]["frame_times"] == MEASURED
    return Cine(
        data=images,
        times=times,
        fov_mm=scan.fov_mm,
        slice_thickness_mm=scan.slice_thickness_mm,
        affine=scan.affine,
        planes=None if scan.planes is None else scan.planes[: len(images)],
        assumed=scan.assumed if measured else tuple(dict.fromkeys([*scan.assumed, "frame_ms"])),
        cyclic=scan.cyclic,
    )


def _summary(state: FitState) -> dict[str, Any]:
    """How the iterations of a slice went, for run.json; nothing where there were none."""
    if not state.step:
        return {}
    how = {"steps": state.step, "stopped": state.stopped, "seconds": state.seconds, "objective": state.losses[-1]}
    return {"iterations": how}


def _prepared_slice(scan: Scan, index: int, config: MethodConfig, place: tuple[int, int]) -> Slice:
    """A slice with its samples on the device; what was found and done is logged."""
    begun_at = time.perf_counter()
    prepared = prepare_slice(scan, index, config.prepare, config.seed)
    log.info("slice %d: noise from the %s", place[0], prepared.record["noise_from"])
    log.info("slice %d: coil maps %s", place[0], prepared.record["coil_maps"])
    if "gradient_delays_samples" in prepared.record:
        log.info("slice %d: gradient delays corrected", place[0])
    if "spoke_phase_rad" in prepared.record:
        log.info("slice %d: phases of spokes by their direction corrected", place[0])
    if "outside_energy" in prepared.record:
        log.info("slice %d: still signal from outside the field of view removed", place[0])
    data = frame_data(prepared, ~prepared.held_out, config.nufft, resolve_device(config.device))
    return Slice(prepared, data, place, begun_at)


def _totals(results: Sequence[SliceResult], total: float) -> dict[str, Any]:
    """What a run took over all slices, and how many parameters the field of one has."""
    names = dict.fromkeys(name for result in results for name in result.seconds)
    seconds = {"total": total} | {name: sum(result.seconds[name] for result in results) for name in names}
    model, kept = results[0].model, results[0].kept
    tensors = list(kept.values()) if kept is not None else [] if model is None else list(model.parameters())
    return ({"parameters": sum(p.numel() for p in tensors)} if tensors else {}) | {"seconds": seconds}


def _end_slice(*results: np.ndarray) -> None:
    """Leave memory to the next slice: results that lie on disk are written there."""
    for result in results:
        disk.release(result)
    gc.collect()
    give_freed_memory_back()
