"""The index of a folder of scans: which are trained with, which validate, which were skipped and why.

What validates follows from the scans' contents and the seed, not from their names or order. One odd file never stops a
training: it is skipped, and said.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dainr.errors import BadScan, DainrError, NoRoom
from dainr.io import Reading, ReadOptions, scan_sha256
from dainr.prepare.binning import Binning
from dainr.runs.owned import OwnedFolder
from dainr.studies.batch.cases import Case, find_cases
from dainr.studies.train.config import TrainConfig
from dainr.studies.train.prepare import prepared_samples
from dainr.studies.train.sample import Sample, read_sample, sample_of, write_sample

PREFIX, DIGITS = "scan_", 24  # of the names of samples; and how much of the checksum of the scan they have

Tell = Callable[[int, int, str], None]  # how many of how many scans are done, and why the last was skipped, or ""


@dataclass
class Index:
    """The samples, by name, and the scans that were skipped with the reason."""

    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def training(self) -> list[Sample]:
        """Those to learn from; where all validate, these, without the readouts that they hold out."""
        return [sample for sample in self.samples if not sample.validates] or self.samples

    @property
    def validating(self) -> list[Sample]:
        """Those that judge."""
        return [sample for sample in self.samples if sample.validates]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"samples": [asdict(sample) for sample in self.samples], "skipped": self.skipped}


def index_of(stored: dict[str, Any]) -> Index:
    """An index from what `as_dict` made."""
    return Index([sample_of(one) for one in stored["samples"]], dict(stored["skipped"]))


def scan_of(sample: Sample) -> str:
    """What the samples of one scan have in common."""
    return sample.file.rpartition("_")[0]


def build_index(
    scans: Path, work: OwnedFolder, config: TrainConfig, binning: Binning, reading: ReadOptions, tell: Tell
) -> Index:
    """Prepare every scan of a folder into the work folder; what is there of an earlier attempt is not made again.

    Raises BadRequest where there is no scan, and BadScan where none is of use.
    """
    cases, index = find_cases(scans, work.path), Index()
    ranked = _ranked(cases, config.seed, reading, index)
    wanted = min(max(1, round(config.training.validation_share * len(ranked))), config.training.validation_most)
    found: list[Sample] = []
    for number, (digest, case) in enumerate(ranked):
        validates = len({scan_of(s) for s in found if s.validates}) < wanted
        why = ""
        try:
            found += _samples(case, digest, work, config, binning, reading, validates)
        except NoRoom:
            raise
        except DainrError as error:
            why = index.skipped[case.name] = str(error)
        tell(number + 1, len(ranked), f"{case.name}: {why}" if why else "")
    if not found:
        why = next(iter(index.skipped.values()), "")
        raise BadScan(str(scans), f"none of its scans can be trained with ({why.rstrip('.')})", "give others")
    index.samples = sorted(found, key=lambda sample: (sample.name, sample.file))
    return index


def has_all(scans: Path, index: Index, work: OwnedFolder, reading: ReadOptions) -> bool:
    """Whether a folder has every scan of an index, by content: it may have been moved, and its files renamed."""
    try:
        cases = find_cases(scans, work.path)
    except DainrError:
        return False
    there = {f"{PREFIX}{digest[:DIGITS]}" for digest, _ in _ranked(cases, 0, reading, Index())}
    return {scan_of(sample) for sample in index.samples} <= there


def _ranked(cases: Sequence[Case], seed: int, reading: ReadOptions, index: Index) -> list[tuple[str, Case]]:
    """Cases with the checksum of their content, in the order of a hash of that and the seed; no content twice."""
    known: dict[str, str] = {}
    ranked = []
    for case in cases:
        try:
            digest = scan_sha256(case.path, reading)
        except OSError as error:
            index.skipped[case.name] = f"{case.path}: it cannot be read ({error.strerror})."
            continue
        if digest in known:
            index.skipped[case.name] = f"{case.path}: it is the same as {known[digest]}."
            continue
        known[digest] = case.name
        ranked.append((hashlib.sha256(f"{seed} {digest}".encode()).hexdigest(), digest, case))
    return [(digest, case) for _, digest, case in sorted(ranked, key=lambda one: one[0])]


def _samples(
    case: Case,
    digest: str,
    work: OwnedFolder,
    config: TrainConfig,
    binning: Binning,
    reading: ReadOptions,
    validates: bool,
) -> list[Sample]:
    """The samples of a scan, from the work folder or prepared into it; all of them, or what is wrong is raised."""
    there = _there(work, digest, validates)
    if there:
        return there
    scan, made = binning.applied(Reading(case.path, options=reading).scan()), list[Sample]()
    try:
        for content, sample in prepared_samples(scan, case.name, config, validates):
            sample = replace(sample, file=f"{PREFIX}{digest[:DIGITS]}_{len(made)}.safetensors")
            made.append(sample)
            with work.writing(sample.file) as part:
                write_sample(part, content, {"sample": asdict(sample), "slices": scan.n_slices})
    except DainrError:
        work.remove(sample.file for sample in made)
        raise
    return made


def _there(work: OwnedFolder, digest: str, validates: bool) -> list[Sample]:
    """The samples of a scan that an earlier attempt prepared; none unless all are whole."""
    found, slices = list[Sample](), 1
    try:
        while len(found) < slices:
            path = work.file(f"{PREFIX}{digest[:DIGITS]}_{len(found)}.safetensors")
            if not path.is_file():
                return []
            facts = read_sample(path).facts
            sample, slices = sample_of(facts["sample"]), int(facts["slices"])
            if sample.validates != validates:
                return []
            found.append(sample)
    except (BadScan, LookupError, TypeError, ValueError):
        return []
    return found
