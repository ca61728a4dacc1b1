"""From a scan to samples: its slices prepared once, with what every step would otherwise compute anew."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from dainr.errors import BadScan
from dainr.losses.splitting import split
from dainr.machine.device import resolve_device
from dainr.machine.shortage import memory_for
from dainr.methods.common import resolve_common
from dainr.methods.cycle import is_cyclic
from dainr.operators.gridding import grid_frames
from dainr.operators.measured import Measurements
from dainr.prepare import Prepared, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.prepare.groups import measurements
from dainr.scan import Scan
from dainr.studies.train.config import TrainConfig
from dainr.studies.train.reference import in_units_of_the_fit
from dainr.studies.train.sample import Content, Sample


def prepared_samples(scan: Scan, name: str, config: TrainConfig, validates: bool) -> Iterator[tuple[Content, Sample]]:
    """The slices of a scan whose readouts are in frames. Raises BadScan and BadRequest for one that teaches nothing.

    Only a scan that validates keeps readouts from the network.
    """
    if scan.n_frames < 2:
        raise BadScan(name, "it has a single frame", "bin its readouts into more")
    config, _ = resolve_common(scan, config)
    held = config.prepare if validates else replace(config.prepare, holdout=0.0)
    for index in range(scan.n_slices):
        called = name if scan.n_slices == 1 else f"{name} slice {index}"
        with memory_for(f"preparing {called}"):
            prepared = prepare_slice(scan, index, held, config.seed)
            yield _sample(scan, index, called, prepared, config, validates)


def _sample(
    scan: Scan, index: int, name: str, prepared: Prepared, config: TrainConfig, validates: bool
) -> tuple[Content, Sample]:
    if validates and not prepared.held_out.any():
        raise BadScan(name, "it has too few readouts to hold some out", "give scans with more")
    data = frame_data(prepared, ~prepared.held_out, config.nufft, resolve_device(config.device))
    cyclic = is_cyclic(config.cyclic, prepared, grid_frames(data))
    of_scan = measurements(prepared, data, cyclic)
    if of_scan.n_frames != scan.n_frames:
        raise BadScan(name, "some frames have no readouts left", "bin its readouts into fewer")
    reference = _reference(scan, index, name, of_scan) if config.learning.loss == "supervised" else None
    if config.learning.loss == "ssdu":  # raises where there is too little to split
        split(of_scan, config.learning.splitting.ratio, torch.Generator().manual_seed(0))
    content = Content(prepared, reference, cyclic, of_scan.largest, config.nufft)
    brightest = 1.0  # of the time average, in the units of the fit
    return content, Sample(
        name=name,
        file="",
        validates=validates,
        matrix=prepared.matrix,
        frames=scan.n_frames,
        coils=scan.n_coils,
        virtual_coils=len(prepared.kspace),
        readouts_per_frame=round(float(np.mean(scan.readouts_per_frame[index])), 1),
        sampling="lines" if prepared.cartesian else "spokes, spirals or points",
        signal_to_noise=round(brightest / prepared.noise_std, 1),
        has_reference=reference is not None,
    )


def _reference(scan: Scan, index: int, name: str, of_scan: Measurements) -> torch.Tensor:
    if scan.reference is None:
        raise BadScan(name, "it has no reference", "choose --set loss=ssdu, which needs none")
    return in_units_of_the_fit(np.asarray(scan.reference[index]), of_scan, name).cpu()
