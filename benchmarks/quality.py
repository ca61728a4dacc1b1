"""Quality, time and memory of every method on the same scans.

    python -m benchmarks.quality [--data FOLDER] [--methods default,crunet:trained,bart] [--repeats 3] [-o quality.md]

Each method is a `dainr fit` in a process of its own, scored by `dainr evaluate`. With --repeats the neural field, which
alone draws random numbers, is fitted with seeds 0, 1, ...; its scores are then mean and standard deviation, its times
and memory means. Without --data the scans are phantoms. BART, where it is on PATH, solves temporal total variation, and
pygrappa, where it is installed, fills in missing lines. Networks without weights learn from the scan, by --steps.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import grappa
from benchmarks.bart import ITERATIONS, WEIGHTS, bart_version, temporal_tv
from benchmarks.common import Finished, Report, add_common, heading, run_dainr, say, table, warm_up
from benchmarks.scans import Subject, find_subjects, simulate_subjects
from dainr.io.images.series import read_series
from dainr.methods import METHODS, get_method
from dainr.networks.unrolled import ARCHITECTURES
from dainr.settings.build import list_settings
from dainr.settings.presets import DEFAULT_METHOD, DEFAULT_PRESET, preset_names

BART, GRAPPA = "bart", "grappa"  # peers, by other programs
COLUMNS = ("method", "PSNR dB", "SSIM", "dynamic PSNR dB", "method s", "command s", "core s", "peak MB")
DIGITS = (2, 4, 2)  # of the scores
NOTE = (
    "Scores as `dainr evaluate` gives them; the best is bold. Method s: reconstruction alone, as the run records it;"
    " command s: the whole `dainr fit`, with reading, preparation and report, on a machine that has fitted before: the"
    " first fit compiles its loops; core s: what all cores spent on it, whatever else they did. Peak MB: resident"
    " memory of the process, or on CUDA what was allocated there."
)
BART_NOTE = (
    f"BART: `bart pics -w 1 -i {ITERATIONS} -R T:1024:0:weight` on the CPU, on the whitened k-space of all coils and"
    " the maps that dainr estimated of them. Weights tried:"
    f" {', '.join(f'{w:g}' for w in WEIGHTS)} standard deviations of the noise in a pixel of A^H y. The one shown is"
    " an oracle's: it scores best against the reference. Time and memory are those of that one command, without"
    " whitening and coil maps."
)

GRAPPA_NOTE = (
    "GRAPPA: pygrappa, every frame on its own, on the whitened lines of all coils, combined by the maps that dainr"
    " estimated. Its calibration lines are the frame's, or of the time average where that has none. Its time is that of"
    " kernels and lines alone."
)


@dataclass(frozen=True)
class Candidate:
    """A method by the name it goes by here, and the options of `dainr fit` that ask for it."""

    name: str
    method: str
    options: tuple[str, ...]


@dataclass
class Row:
    """What a method achieved: PSNR, SSIM and dynamic PSNR of every repeat, and what it took; or why it failed."""

    name: str
    scores: list[tuple[float, float, float]] = field(default_factory=list)
    method_seconds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    core_seconds: list[float] = field(default_factory=list)
    peak_memory_mb: list[float] = field(default_factory=list)
    failed: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each scan."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    asked = _parser().parse_args(arguments)
    names = None if asked.methods is None else [name.strip() for name in asked.methods.split(",")]
    candidates = choose(names, asked.steps)
    bart = bart_version() if names is None or BART in names else None
    pygrappa = grappa.grappa_version() if names is None or GRAPPA in names else None
    report = Report(asked.output)
    peers = {name: version for name, version in (("BART", bart), ("pygrappa", pygrappa)) if version}
    report.add(heading("Quality", "quality", arguments, asked.device, **peers))
    report.add("\n\n".join([NOTE, *([BART_NOTE] if bart else []), *([GRAPPA_NOTE] if pygrappa else [])]))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if asked.data is None:
            subjects = simulate_subjects(work, asked.matrix, asked.frames)
        else:
            given = {name: Path(path) for name, _, path in (pair.partition("=") for pair in asked.reference)}
            subjects = find_subjects(asked.data, given, work)
        if not subjects:
            raise SystemExit(f"{asked.data}: it holds no scan with frames and a reference")
        warm_up([c.options[1] for c in candidates if c.method == DEFAULT_METHOD], asked.device)
        for subject in subjects:
            rows = [measure(subject, c, asked.repeats, asked.device, asked.pairs, work) for c in candidates]
            rows += [measure_bart(subject, work)] if bart else []
            rows += [measure_grappa(subject)] if pygrappa else []
            report.add(block(subject, rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of scans with references; without it, phantoms")
    parser.add_argument("--reference", action="append", default=[], metavar="SCAN=FILE", help="the reference of a scan")
    parser.add_argument("--methods", help="names separated by commas; those that do not exist are left out")
    parser.add_argument("--steps", type=int, default=0, help="of networks that learn from the scan; 0: their own")
    parser.add_argument("--repeats", type=int, default=1, help="seeds of the neural field")
    parser.add_argument("--matrix", type=int, default=128, help="of the phantoms")
    parser.add_argument("--frames", type=int, default=25, help="of the phantoms")
    add_common(parser)
    return parser


def choose(names: Sequence[str] | None, steps: int = 0) -> list[Candidate]:
    """The presets of the neural field and the other methods, or those named; a name that does not exist is told.

    A preset of another method goes by METHOD:PRESET, weights that first adapt to the scan by METHOD:PRESET:STEPS.
    """
    presets = sorted(preset_names(), key=lambda name: (name != DEFAULT_PRESET, name))
    known = {
        name: Candidate(f"`{DEFAULT_METHOD}`, preset `{name}`", DEFAULT_METHOD, ("--preset", name)) for name in presets
    }
    for method in (method for method in METHODS if method != DEFAULT_METHOD):
        learning = ("--iterations", str(steps)) if steps and method in ARCHITECTURES else ()
        known[method] = Candidate(f"`{method}`", method, ("--method", method, *learning))
    if names is None:
        return list(known.values())
    for method in set(METHODS) - {DEFAULT_METHOD}:
        for preset in preset_names(method):
            name = f"{method}:{preset}"
            known[name] = Candidate(f"`{name}`", method, ("--method", method, "--preset", preset))
    for name in names:
        preset, _, taken = name.rpartition(":")
        if taken.isdigit() and preset in known and known[preset].method in ARCHITECTURES:
            plain = known[preset]
            known[name] = Candidate(
                f"{plain.name}, {taken} steps", plain.method, (*plain.options, "--iterations", taken)
            )
        if name not in known and name not in (BART, GRAPPA):
            say(f"{name}: left out, there is no such method or preset")
    return [known[name] for name in names if name in known]


def measure(subject: Subject, candidate: Candidate, repeats: int, device: str, pairs: Sequence[str], work: Path) -> Row:
    """Fit and score a method on a scan."""
    row = Row(candidate.name)
    known = list_settings(get_method(candidate.method).Config)
    mine = [p for p in pairs if any(f".{path}".endswith(f".{p.partition('=')[0]}") for path in known)]
    settings = [word for pair in mine for word in ("--set", pair)]
    for seed in range(repeats if candidate.method == DEFAULT_METHOD else 1):
        say(f"{subject.name}: {candidate.name}, seed {seed}")
        run = work / "run"
        options = [*candidate.options, "--device", device, "--seed", str(seed), *settings]
        done = run_dainr("fit", subject.scan, "-o", run, "--force", "--quiet", *options)
        if done.code:
            row.failed = done.why
            return row
        _add(row, run, subject, done)
    return row


def _add(row: Row, run: Path, subject: Subject, done: Finished) -> None:
    scored = run_dainr("evaluate", run, subject.reference, "--json")
    if scored.code:
        row.failed = scored.why
        return
    scores, record = json.loads(scored.stdout), json.loads((run / "run.json").read_text())
    row.scores.append((scores["whole"]["psnr"], scores["whole"]["ssim"], scores["dynamic"]["psnr"]))
    row.method_seconds.append(record["seconds"]["total"])
    row.seconds.append(done.seconds)
    row.core_seconds.append(done.core_seconds)
    row.peak_memory_mb.append(record["peak_memory_mb"])
    say(f"{row.name}: {', '.join(f'{score:.4g}' for score in row.scores[-1])}; {done.core_seconds:.0f} s of a core")


def measure_bart(subject: Subject, work: Path) -> Row:
    """Temporal total variation by BART, at the best of its weights."""
    say(f"{subject.name}: BART, {len(WEIGHTS)} weights")
    row = Row("BART, temporal TV, oracle weight")
    try:
        best = temporal_tv(subject.scan, read_series(subject.reference), work)
    except RuntimeError as error:
        row.failed = str(error)
        return row
    row.name += f" {best.weight:g}"
    whole = best.scores.whole
    row.scores.append((whole.psnr, whole.ssim, best.scores.dynamic.psnr))
    row.seconds.append(best.seconds)
    row.peak_memory_mb.append(best.peak_memory_mb)
    return row


def measure_grappa(subject: Subject) -> Row:
    """GRAPPA by pygrappa."""
    say(f"{subject.name}: GRAPPA")
    row = Row("GRAPPA by pygrappa")
    try:
        done = grappa.reconstruct(subject.scan, read_series(subject.reference))
    except RuntimeError as error:
        row.failed = str(error)
        return row
    row.scores.append((done.scores.whole.psnr, done.scores.whole.ssim, done.scores.dynamic.psnr))
    row.seconds.append(done.seconds)
    return row


def block(subject: Subject, rows: Sequence[Row]) -> str:
    """The table of one scan."""
    done = [np.mean(row.scores, 0) for row in rows if not row.failed]
    best = np.max(done, 0) if done else np.zeros(len(DIGITS))
    about = f"{subject.about}. Reference: {subject.reference_from}."
    return f"## {subject.name}\n\n{about}\n\n{table(COLUMNS, [_line(row, best) for row in rows])}"


def _line(row: Row, best: np.ndarray) -> list[str]:
    if row.failed:
        return [row.name, f"failed: {row.failed}", *[""] * (len(COLUMNS) - 2)]
    columns = zip(np.array(row.scores).T, DIGITS, best, strict=True)
    scores = [_score(values, digits, values.mean() >= top) for values, digits, top in columns]
    took = [f"{np.mean(v):.1f}" if v else "" for v in (row.method_seconds, row.seconds, row.core_seconds)]
    return [row.name, *scores, *took, f"{np.mean(row.peak_memory_mb):.0f}" if row.peak_memory_mb else ""]


def _score(values: np.ndarray, digits: int, bold: bool) -> str:
    text = f"{values.mean():.{digits}f}"
    if len(values) > 1:
        text += f" ± {values.std(ddof=1):.{digits}f}"
    return f"**{text}**" if bold else text


if __name__ == "__main__":
    main()
