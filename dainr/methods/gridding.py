"""Gridding: the density-compensated adjoint of every frame on its own. The baseline everything else is measured by."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from dainr.fields.field import DynamicField
from dainr.fit import Checkpoint, Observer
from dainr.methods.common import MethodConfig, RunState, frame_data, grid_frames, resolve_common, resolve_device
from dainr.prepare import prepare_slice
from dainr.recon import Recon
from dainr.scan import Cine, Scan


@dataclass(frozen=True)
class GriddingConfig(MethodConfig):
    """Gridding has no settings of its own."""


class Gridding:
    """A^H W y for each frame, all readouts used."""

    Config = GriddingConfig
    about = "density-compensated adjoint of each frame: fast, streaky, the baseline"

    def resolve(self, scan: Scan, config: GriddingConfig) -> tuple[GriddingConfig, dict[str, Any]]:
        """Device and NUFFT backend; nothing is held out, for nothing is validated."""
        config, record = resolve_common(scan, config)
        return replace(config, prepare=replace(config.prepare, holdout=0.0)), record

    def __call__(
        self,
        scan: Scan,
        config: GriddingConfig,
        observers: Sequence[Observer] = (),
        resume: RunState | None = None,
    ) -> Recon:
        """The gridded cine; there are no steps to observe and nothing to resume."""
        device, started = resolve_device(config.device), time.perf_counter()
        slices, records, times = [], [], np.zeros(0)
        for index in range(scan.n_slices):
            prepared = prepare_slice(scan, index, config.prepare, config.seed)
            data = frame_data(prepared, ~prepared.held_out, config.nufft, device)
            slices.append(prepared.scale * grid_frames(data).cpu().numpy())
            records.append({"prepare": prepared.record})
            times = prepared.frame_times if index == 0 else times
        images = np.stack(slices)
        return Recon(
            method="gridding",
            cine=Cine(images, times, scan.fov_mm, scan.slice_thickness_mm, scan.affine),
            record={"slices": records, "seconds": {"total": time.perf_counter() - started}},
            gridded=np.abs(images).astype(np.float32),
        )

    def restore(
        self,
        config: GriddingConfig,
        matrix: tuple[int, int],
        finished: Mapping[int, Checkpoint],
        features: Mapping[str, Tensor],
    ) -> tuple[DynamicField, ...]:
        """Gridding fits no field."""
        return ()
