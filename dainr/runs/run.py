"""A whole run: reconstruct a scan into a run folder, finish it there, and read it back."""

import logging
import math
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch

from dainr import __version__
from dainr.assess.describe import describe
from dainr.assess.verdict import judge
from dainr.cine import Cine
from dainr.errors import BadScan, Interrupted, LockedScan
from dainr.fit.state import Checkpoint, Observer, Step, of_the_run
from dainr.io.images.cine import is_finite, read_cine, run_of_cine, write_cine
from dainr.machine.device import device_name, peak_memory_mb, reset_peak_memory
from dainr.machine.disk import check_room
from dainr.machine.shortage import memory_for
from dainr.machine.threads import WAITING
from dainr.methods import get_method
from dainr.methods.recon import Recon
from dainr.methods.slices import BesideRun
from dainr.report import build_report
from dainr.runs.folder import CINE, REPORT, STATE, RunFolder
from dainr.runs.stored import ANEW, RESUMED, check_id, damaged
from dainr.scan import Scan
from dainr.settings.build import build_config, config_dict

log = logging.getLogger(__name__)

SERIES, COMPLEX_BYTES = 2, 8  # in the file of a cine: itself, and the gridded one
PACKAGES = ("torch", "numpy", "finufft", "torchkbnufft", "numba", "scipy", "ismrmrd", "tinycudann", "cufinufft")


@dataclass(frozen=True)
class Request:
    """What the user asked of a run, beside the method's settings; part of config.toml."""

    method: str
    preset: str
    scan: str
    sha256: str
    binning: dict[str, Any] = field(default_factory=dict)  # slices, frames and matrix, as asked
    reading: dict[str, Any] = field(default_factory=dict)  # what was said of the scan file beside it
    id: str = ""  # of the run, which its files carry; it gets one as it begins


def reconstruct_into(
    folder: RunFolder,
    scan: Scan,
    request: Request,
    config: Any,
    observers: Sequence[Observer] = (),
    resume: bool = False,
    stop_requested: Callable[[], bool] = lambda: False,
    beside: BesideRun = BesideRun(),
) -> Recon:
    """Run the method of the request on a binned scan and leave everything in the folder.

    Resuming goes on from the folder's state; slices in `beside` are made already. Raises Interrupted once
    `stop_requested` and the state is saved, Diverged, OutOfMemory, and NoRoom, at once where the cine has no room on
    the disk. A scan or request that turns out bad before the first step leaves no folder, and leaves a run that was to
    be replaced as it was.
    """
    with folder.alone():
        check_room(folder.file(CINE), SERIES * COMPLEX_BYTES * scan.n_slices * scan.n_frames * math.prod(scan.matrix))
        state = folder.state_to_resume() if resume else None
        request = replace(request, id=folder.run_id if resume else uuid4().hex)
        method = get_method(request.method)
        config, choices = method.resolve(scan, config)
        log.info("device: %s (%s)", config.device, device_name(config.device))
        record = _header(request, config, scan) | {"choices": choices, "status": "running"}
        folder.checkpoint_every_s = config.checkpoint_every_s
        reset_peak_memory(config.device)

        def stop_when_asked(step: Step) -> None:
            if stop_requested():
                folder.save_now(step)
                raise Interrupted(
                    "interrupted", f"the state after step {step.step} is saved in {folder.path}", "go on with --resume"
                )

        asked = {"run": request.__dict__, "config": config_dict(config)}
        with folder.beginning(asked, record, resume) as begin:
            watching = [begin, folder.log, folder.checkpoint, stop_when_asked, *observers]
            recon = method(scan, config, watching, state, beside)
        finish(folder, recon, record | {"peak_memory_mb": peak_memory_mb(config.device)})
        return recon


def finish(folder: RunFolder, recon: Recon, record: dict[str, Any]) -> None:
    """Write the result, the verdict and the report; the record comes last and calls the run done."""
    record = record | recon.record | {"status": "done"}
    record["verdict"] = [{"level": f.level, "text": f.text} for f in judge(record)]
    maps_of_errors = {} if recon.error_map is None else {"error_map": recon.error_map}
    with folder.writing(CINE) as part:
        arrays = {"gridded": recon.gridded, "scales": np.array(recon.scales), **maps_of_errors}
        write_cine(recon.cine, part, folder.run_id, **arrays)
    folder.write_record(record | {"status": "running"})  # for who waits for the cine and the verdict alone
    folder.write_text(REPORT, build_report(recon, folder.read_config(), record))  # before the fields come into memory
    if recon.fields or recon.networks:
        tensors = [*(f.state_dict() for f in recon.fields), *recon.networks]
        pairs = enumerate(zip(tensors, recon.histories, strict=True))
        folder.save_fields({i: Checkpoint(of_slice, history) for i, (of_slice, history) in pairs})
    else:
        folder.discard_state()
    maps = {f"maps.{i}": f.features.maps for i, f in enumerate(recon.fields) if f.features is not None}
    if maps:
        folder.save_features(maps)
    folder.write_record(record)


def load_run(path: Path) -> Recon:
    """The reconstruction in a finished run's folder, fields included.

    Raises BadScan when there is no run, it has not ended, or a file of it is damaged or of another run.
    """
    folder = RunFolder(path)
    content, record = folder.read_config(), folder.read_record()
    if record["status"] != "done":
        raise BadScan(str(path), f"the run in it is {record['status']}, not done", "finish it with fit --resume")
    method = get_method(content["run"]["method"])
    cine, extra = read_run_cine(folder)
    n_slices, n_frames, ny, nx = cine.data.shape
    if len(record["slices"]) != n_slices or (record["scan"]["frames"], *record["scan"]["matrix"]) != (n_frames, ny, nx):
        raise BadScan(str(folder.file(CINE)), "it is not the cine of the run", RESUMED)
    state = folder.load_state()
    if sorted(state.finished) != list(range(len(extra["scales"]))):
        raise BadScan(str(path), "its cine or its state is not that of the run", ANEW)
    with memory_for("reading the fitted fields"), of_the_run(str(folder.file(STATE))):
        config = build_config(method.Config, content["config"])
        fields = method.restore(config, (ny, nx), state.finished, folder.load_features())
    histories = tuple(state.finished[i].state for i in sorted(state.finished))
    if any(len(field.times) != n_frames for field in fields) or any(
        len(history.losses) != history.step for history in histories
    ):
        raise BadScan(str(folder.file(STATE)), "it is not the state of the run", ANEW)
    return Recon(
        method=content["run"]["method"],
        cine=cine,
        record=record,
        gridded=extra["gridded"],
        fields=fields,
        scales=tuple(extra["scales"].tolist()),
        histories=histories,
        networks=() if fields else tuple(state.finished[i].tensors for i in sorted(state.finished)),
        error_map=extra.get("error_map"),
    )


def has_cine(folder: RunFolder) -> bool:
    """Whether the cine of a run is there and whole."""
    try:
        read_run_cine(folder)
    except LockedScan:
        raise
    except BadScan:
        return False
    return True


def read_run_cine(folder: RunFolder) -> tuple[Cine, dict[str, np.ndarray]]:
    """The cine of a run and what goes with it, each of the shape that it must have. Raises BadScan."""
    path = folder.file(CINE)
    if not path.is_file():
        raise BadScan(str(path), "there is no cine file here", RESUMED)
    try:
        cine, extra = read_cine(path)
        run = run_of_cine(path)
    except LockedScan:
        raise
    except BadScan as error:
        raise BadScan(error.what, error.why, RESUMED) from error
    check_id(path, run, folder.run_id, RESUMED)
    shapes = {"gridded": cine.data.shape, "scales": (len(extra.get("scales", ())),), "error_map": cine.data.shape}
    if "error_map" not in extra:
        del shapes["error_map"]
    for name, shape in shapes.items():
        array = extra.get(name)
        if array is None or array.shape != shape or array.dtype.kind not in "iuf" or not all(map(is_finite, array)):
            raise damaged(path, f"its {name} is not that of its cine", RESUMED)
    return cine, extra


def versions() -> dict[str, str]:
    """Versions of this program and of what its figures depend on."""
    found = {"dainr": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _header(request: Request, config: Any, scan: Scan) -> dict[str, Any]:
    return {
        "id": request.id,
        "input": {"path": request.scan, "sha256": request.sha256},
        "method": request.method,
        "preset": request.preset,
        "seed": config.seed,
        "device": config.device,
        "device_name": device_name(config.device),
        "threads": torch.get_num_threads(),
        "waiting": {name: os.environ.get(name, "") for name in WAITING},
        "versions": versions(),
        "scan": describe(scan),
    }
