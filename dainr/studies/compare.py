"""Several methods on one scan: the same data and the same call, one after the other, then scores against a reference.

No method can reach the reference: the scan they get holds none, and its pixels are read once the last method has ended.
Only its shape is looked at before, so that a reference of another scan is refused at once and not after hours.
"""

import logging
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dainr.assess.describe import describe
from dainr.assess.metrics import Wanted
from dainr.assess.scores import Evaluation, evaluate
from dainr.cine import Cine
from dainr.errors import BadRequest, BadScan, DainrError, Diverged, MissingBackend
from dainr.fit.state import Observer
from dainr.io import scan_sha256
from dainr.io.hdf5 import write_whole
from dainr.io.images.series import read_series
from dainr.machine.checksum import file_sha256
from dainr.machine.device import device_name, peak_memory_mb, reset_peak_memory
from dainr.machine.shortage import memory_for
from dainr.methods import configure, get_method
from dainr.runs.run import versions
from dainr.scan import Scan
from dainr.settings.build import config_dict, list_settings
from dainr.studies.comparison_page import build_comparison

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contender:
    """A method that takes part, by the name it was asked by, with its settings."""

    name: str
    method: str
    preset: str
    config: Any
    choices: dict[str, Any] = field(default_factory=dict)  # what "auto" became, and why


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a method: its cine, or the error it ended with."""

    contender: Contender
    cine: Cine | None = None
    seconds: dict[str, float] = field(default_factory=dict)  # total, and where the method tells: prepare, fit
    peak_memory_mb: float | None = None  # on a CUDA device; of a process that runs several methods it cannot be told
    error: DainrError | None = None
    scores: Evaluation | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All outcomes, the reference they were scored against, and everything in figures, ready for JSON."""

    outcomes: tuple[Outcome, ...]
    reference: np.ndarray  # slice, frame, y, x
    record: dict[str, Any]


@dataclass(frozen=True)
class ReferenceFile:
    """A file with a reference: a series, or the scan itself. Of a whole stack the given slices are taken."""

    path: Path
    slices: Sequence[int] | None = None

    def check(self, scan: Scan) -> None:
        """Refuse, from the file's header, a reference that is not of the scan's shape. Raises BadScan."""
        shape = self._taken(read_series(self.path, header_only=True)).shape
        wanted = (scan.n_slices, scan.n_frames, *scan.matrix)
        if shape != wanted:
            raise BadScan(
                str(self.path),
                f"its shape {shape} is not {wanted} (slice, frame, y, x), which the methods would reconstruct",
                "choose slices, frames and --matrix as in the reference",
            )

    def read(self) -> np.ndarray:
        """The reference, `slice frame y x`."""
        return self._taken(read_series(self.path))

    def _taken(self, series: np.ndarray) -> np.ndarray:
        if self.slices is None or len(series) == len(self.slices) or max(self.slices) >= len(series):
            return series
        return series[list(self.slices)]


def choose_contenders(names: Sequence[str], pairs: Sequence[str] = ()) -> list[Contender]:
    """The methods named, each `name` or `name:preset`, with their settings.

    A "key=value" pair reaches every method that has the setting, "name:key=value" the one asked for by that name.
    Raises BadRequest for an unknown method, preset or setting and for a method that is named twice.
    """
    chosen: dict[tuple[str, str], tuple[str, type]] = {}
    for name in (name.strip() for name in names):
        method, _, preset = name.partition(":")
        try:
            in_use, config = configure(method, preset or None)
        except BadRequest as error:
            raise BadRequest(f"--methods {name}", error.why, error.fix) from error
        key = method, in_use
        if key in chosen:
            raise BadRequest(f"--methods {name}", f"it is the same as {chosen[key][0]}", "name each method once")
        chosen[key] = name, type(config)
    given = _shared_out(pairs, dict(chosen.values()))
    return [
        Contender(name, method, preset, configure(method, preset, given[name])[1])
        for (method, preset), (name, _) in chosen.items()
    ]


def compare(
    scan: Scan,
    source: Path,
    contenders: Sequence[Contender],
    reference: ReferenceFile,
    begin: Callable[[str], Sequence[Observer]] = lambda _: (),
    wanted: Wanted = Wanted(),
) -> Comparison:
    """Reconstruct a binned scan, read from the file `source`, by every method and score the results.

    `begin` is told each method's name as it starts and gives the observers of its fit; `wanted` says which scores. A
    method that fails does not end the others. Raises BadRequest for settings that do not suit the scan and BadScan for
    a reference of another shape, both before anything runs; the first method's error when all failed; BadScan for a
    reference with NaN.
    """
    reference.check(scan)
    scan = scan.changed(reference=None)
    outcomes = [_resolved(scan, contender) for contender in contenders]
    outcomes = [o if o.error else _run(scan, o.contender, begin(o.contender.name)) for o in outcomes]
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if len(errors) == len(outcomes):
        raise errors[0]
    truth = reference.read()
    scored = tuple(
        o if o.cine is None else replace(o, scores=evaluate(o.cine.data, truth, wanted.dists)) for o in outcomes
    )
    return Comparison(scored, truth, _record(scan, source, reference, scored, wanted))


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page; the file appears only once it is complete."""
    cines = {o.contender.name: o.cine for o in comparison.outcomes if o.cine is not None}
    with write_whole(path) as temporary:
        temporary.write_text(build_comparison(comparison.record, cines, comparison.reference), encoding="utf-8")


def _shared_out(pairs: Sequence[str], kinds: dict[str, type]) -> dict[str, list[str]]:
    """The pairs that each method is given. One that no method knows is left to the one with most settings to refuse."""
    given: dict[str, list[str]] = {name: [] for name in kinds}
    known = {name: list_settings(kind) for name, kind in kinds.items()}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        name, colon, setting = key.strip().rpartition(":")
        if colon:
            if name not in kinds:
                raise BadRequest(f"--set {pair}", f"{name} is not compared", f"name {' or '.join(kinds)}")
            given[name].append(f"{setting}{equals}{value}")
            continue
        reached = [n for n in kinds if any(f".{path}".endswith(f".{setting}") for path in known[n])]
        for n in reached or [max(kinds, key=lambda n: len(known[n]))]:
            given[n].append(pair)
    return given


def _resolved(scan: Scan, contender: Contender) -> Outcome:
    try:
        config, choices = get_method(contender.method).resolve(scan, contender.config)
    except MissingBackend as error:
        return Outcome(contender, error=error)
    return Outcome(replace(contender, config=config, choices=choices))


def _run(scan: Scan, contender: Contender, observers: Sequence[Observer]) -> Outcome:
    device = contender.config.device
    reset_peak_memory(device)
    started = time.perf_counter()
    try:
        with memory_for(contender.name):
            recon = get_method(contender.method)(scan, contender.config, observers)
        if not np.isfinite(recon.cine.data).all():
            raise Diverged(contender.name, "its images hold NaN or Inf", "change its settings")
    except DainrError as error:
        log.warning("%s failed", contender.name)
        return Outcome(contender, error=copy(error))  # which holds nothing of what it was raised over
    seconds = {"total": time.perf_counter() - started} | recon.record.get("seconds", {})
    log.info("%s: %.1f s", contender.name, seconds["total"])
    peak = peak_memory_mb(device) if device.startswith("cuda") else None
    return Outcome(contender, recon.cine, seconds, peak)


def _record(
    scan: Scan, source: Path, reference: ReferenceFile, outcomes: Sequence[Outcome], wanted: Wanted
) -> dict[str, Any]:
    devices = sorted({o.contender.config.device for o in outcomes if o.cine is not None})
    return {
        "scan": describe(scan),
        "input": {"path": str(source), "sha256": scan_sha256(source)},
        "reference": {"path": str(reference.path), "sha256": file_sha256(reference.path)},
        "methods": [_entry(outcome, wanted) for outcome in outcomes],
        "devices": {device: device_name(device) for device in devices},
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def _entry(outcome: Outcome, wanted: Wanted) -> dict[str, Any]:
    contender = outcome.contender
    entry = {
        "name": contender.name,
        "method": contender.method,
        "preset": contender.preset,
        "about": get_method(contender.method).about,
        "config": config_dict(contender.config),
    }
    if outcome.error is not None:
        return entry | {"status": "failed", "why": str(outcome.error), "exit_code": outcome.error.exit_code}
    assert outcome.scores is not None
    return entry | {
        "status": "done",
        "scores": wanted.record(outcome.scores),
        "seconds": outcome.seconds,
        "peak_memory_mb": outcome.peak_memory_mb,
        "choices": contender.choices,
    }
