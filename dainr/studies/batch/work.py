"""One case: a `dainr fit` and exports in processes of their own, so that what befalls one leaves the others alone.

What was asked of a case and how it ended lies in `OUT/.cases/NAME.json`; a lock beside it keeps two workers apart.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest, BadScan, Interrupted, LockedScan, OutOfMemory
from dainr.io import scan_sha256
from dainr.io.hdf5 import write_whole
from dainr.io.scans.reading import LOST
from dainr.machine.lock import OwnLock
from dainr.runs.files import CONFIG, RECORD
from dainr.runs.stored import read_config_file, read_record_file
from dainr.studies.batch.cases import Case
from dainr.studies.batch.commands import Commands
from dainr.studies.batch.index import CASES, present

ATTEMPTS = 2  # of a case that was killed, took too long or found no memory, or whose file another program was writing
LOCKED_S = 20.0  # before such a file is tried again
OF_THE_MACHINE = (
    OutOfMemory.status,
    "it cannot be read (",
    LOST,
)  # what bad data are not told by, though the exit code is theirs
TIMED_OUT = -signal.SIGALRM


@dataclass(frozen=True)
class Job:
    """What is asked of one case."""

    case: Case
    out: Path  # the batch's folder
    options: tuple[str, ...]  # of dainr fit
    export: tuple[str, ...]  # suffixes
    limit_s: float  # 0: none
    content: str = ""  # checksum of what the options stand for: presets, weights and files

    @property
    def run(self) -> Path:
        """The folder of its run."""
        return self.out / self.case.name

    def exported_name(self, suffix: str) -> str:
        """The name of an export in the batch's folder."""
        return f"{self.case.name}{'' if suffix[0] == '.' else '_'}{suffix}"


@dataclass(frozen=True)
class Outcome:
    """How a case ended. `why` is empty unless it failed.

    `replaces`: the id of the run that was in its folder before, `run` that of its own; None: there is none.
    """

    name: str
    path: str
    asked: dict[str, Any]
    status: str  # running, done or failed
    why: str = ""
    exit_code: int = 0
    attempts: int = 0
    seconds: float = 0.0
    replaces: str | None = None
    run: str | None = None


Watch = Callable[[Sequence[Job], list[Outcome]], None]


_commands = Commands()
commands_of_a_batch = _commands.of_a_batch


def failed(job: Job, why: str) -> Outcome:
    """Of a case that something befell which its own command could not tell."""
    return Outcome(job.case.name, str(job.case.path), {}, "failed", why, 1)


def known_outcome(job: Job) -> Outcome | None:
    """How a case ended before, if the same was asked of the same file and asking again would end the same way."""
    return _known(job, _asked(job))


def _known(job: Job, asked: dict[str, Any]) -> Outcome | None:
    outcome = _read(job)
    if outcome is None or outcome.asked != asked or _is_of_another(job, outcome):
        return None
    if outcome.status == "done":
        whole = _is_done(job.run) and all(_is_exported(job, suffix) for suffix in job.export)
        return outcome if whole else None
    return outcome if outcome.status == "failed" and _is_final(outcome.exit_code, outcome.why) else None


def _is_exported(job: Job, suffix: str) -> bool:
    return exported(job, suffix).exists() or job.exported_name(suffix) in present(job.out)


def _is_done(run: Path) -> bool:
    """Whether a run's record is there and whole."""
    try:
        return bool(read_record_file(run / RECORD)["status"] == "done")
    except BadScan:
        return False


def _is_final(code: int, why: str) -> bool:
    """Whether the data are bad, so that the same would end so again; anything else may have been the machine."""
    return code == BadScan.exit_code and not any(words in why for words in OF_THE_MACHINE)


def _is_no_use(code: int, why: str) -> bool:
    """Whether a run does not go on with what was left of it."""
    return code in (BadRequest.exit_code, BadScan.exit_code) and not why.startswith(OutOfMemory.status)


def exported(job: Job, suffix: str) -> Path:
    """Where the export of a case lies."""
    return job.out / job.exported_name(suffix)


def fit_case(job: Job, threads: int, gpu: str | None = None) -> Outcome:
    """Fit a case and export it, going on with what an earlier attempt left; a killed or slow one is tried once more."""
    (job.out / CASES).mkdir(exist_ok=True)
    with _locked(job.out / CASES / f"{job.case.name}.lock"):
        asked = _asked(job)
        known = _known(job, asked)
        return known if known is not None else _fit(job, asked, _environment(threads, gpu))


def _fit(job: Job, asked: dict[str, Any], environment: dict[str, str]) -> Outcome:
    before, started = _read(job), time.monotonic()
    same = before is not None and before.asked == asked and not _is_of_another(job, before)
    replaces = before.replaces if before is not None and same else _run_id(job)
    outcome = Outcome(job.case.name, str(job.case.path), asked, "running", replaces=replaces)
    _write(job, outcome)
    why, code = "", 0
    for attempt in range(1, ATTEMPTS + 1):
        # a run that was to be replaced is still there where an attempt ended before it had begun its own
        code, why = _attempt(job, (same or attempt > 1) and _run_id(job) != replaces, environment)
        outcome = replace(outcome, attempts=attempt, exit_code=code)
        if code == LockedScan.exit_code and attempt < ATTEMPTS:
            _commands.stopping.wait(LOCKED_S)
        elif code >= 0 and code != 128 + signal.SIGKILL and not why.startswith(OutOfMemory.status):
            break
    outcome = replace(
        outcome, status="failed" if code else "done", why=why, seconds=round(time.monotonic() - started, 1)
    )
    if not code:
        outcome = replace(outcome, run=_run_id(job))
    _write(job, outcome)
    return outcome


def _run_id(job: Job) -> str | None:
    """The id of the run in the case's folder; empty where it has none, and None where there is no run."""
    path = job.run / CONFIG
    try:
        return read_config_file(path)["run"].get("id", "")
    except BadScan:
        return "" if path.is_file() else None


def _is_of_another(job: Job, outcome: Outcome) -> bool:
    """Whether the run in the case's folder is not the one that it was done with: somebody has fitted there since."""
    return outcome.run is not None and _run_id(job) not in (None, outcome.run)


def _environment(threads: int, gpu: str | None) -> dict[str, str]:
    """What a fit finds its share of the machine by."""
    own = {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    return {**os.environ, **own} | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})


def _attempt(job: Job, begun: bool, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code, and one sentence where it is not 0, of fit and exports."""
    fit = ["fit", str(job.case.path), "-o", str(job.run), "-q"]
    resumed = begun and (job.run / CONFIG).is_file()
    code, why = _dainr([*fit, "--resume"] if resumed else [*fit, "--force", *job.options], job, environment)
    if resumed and _is_no_use(code, why):  # what was left is no use
        code, why = _dainr([*fit, "--force", *job.options], job, environment)
    for suffix in job.export:
        if code == 0:
            code, why = _dainr(["export", str(job.run), str(exported(job, suffix)), "--force"], job, environment)
    return code, why


def _dainr(arguments: Sequence[str], job: Job, environment: dict[str, str]) -> tuple[int, str]:
    process = _commands.start(arguments, environment)
    with process:
        try:
            _, said = process.communicate(timeout=job.limit_s or None)
        except subprocess.TimeoutExpired:
            process.kill()
            return TIMED_OUT, f"it took longer than {job.limit_s:g} s"
        finally:
            _commands.ended(process)
    if _commands.stopping.is_set() and process.returncode:
        raise Interrupted("interrupted", "the batch was stopped", "run the same command again")
    code = process.returncode or 0
    return code, _sentence(code, said.decode(errors="replace"))


def _sentence(code: int, said: str) -> str:
    """What a failed command said, without the program's name."""
    if code == 0:
        return ""
    if code < 0:
        return f"it was killed by {signal.Signals(-code).name}" + (
            "; is memory short?" if -code == signal.SIGKILL else ""
        )
    lines = [line.removeprefix("dainr: ") for line in said.splitlines() if line.startswith("dainr: ")]
    return lines[-1] if lines else (said.strip().splitlines() or [f"exit code {code}"])[-1]


def _asked(job: Job) -> dict[str, Any]:
    try:
        checksum = scan_sha256(job.case.path)
    except OSError as error:
        checksum = str(error)
    return {"sha256": checksum, "options": list(job.options), "content": job.content}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other process holds a lock, and hold it."""
    lock = OwnLock(path)  # where it is a link, to a file of the user's, that keeps what it holds
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _record(job: Job) -> Path:
    return job.out / CASES / f"{job.case.name}.json"


def _read(job: Job) -> Outcome | None:
    try:
        return Outcome(**json.loads(_record(job).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write(job: Job, outcome: Outcome) -> None:
    with write_whole(_record(job)) as temporary:
        temporary.write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
