"""One case: what is run for it, what is tried again, and what is left alone."""

import fcntl
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dainr.errors import BadRequest, BadScan, LockedScan
from dainr.io.scans.reading import LOST
from dainr.studies.batch import work
from dainr.studies.batch.cases import Case
from dainr.studies.batch.work import CASES, TIMED_OUT, Job, Outcome, exported, fit_case, known_outcome
from tests.runs.test_owned import OLD_RUN

CONFIG = '[run]\nmethod = "dainr"\npreset = "default"\nscan = "scan.h5"\nsha256 = ""\nid = "{}"\n[config]\n'
Command = Callable[[Sequence[str], Job, dict[str, str]], tuple[int, str]]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "scan.h5").write_bytes(b"kspace")
    return Job(Case("scan", tmp_path / "scan.h5"), tmp_path / "out", ("--iterations", "5"), (".nii",), 0.0)


@pytest.fixture(autouse=True)
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


class Scripted:
    """Stands for the program: ends as it is told to, in turn, and keeps what it was asked."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.asked = list(codes), []  # type: list[int], list[list[str]]
        self.said = "a sentence"

    def __call__(self, arguments: Sequence[str], job: Job, environment: dict[str, str]) -> tuple[int, str]:
        self.asked.append(list(arguments))
        code = self.codes.pop(0) if self.codes else 0
        if arguments[0] == "fit":
            job.run.mkdir(exist_ok=True)
            (job.run / "config.toml").touch()
            if code == 0:
                shutil.copy(OLD_RUN / "run.json", job.run)
        elif code == 0:
            Path(arguments[2]).touch()
        return code, self.said if code else ""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    def make(*codes: int) -> Scripted:
        scripted = Scripted(*codes)
        monkeypatch.setattr(work, "_dainr", scripted)
        return scripted

    return make


def test_a_case_is_fitted_and_exported(job: Job, script: Callable[..., Scripted]) -> None:
    program = script()
    outcome = fit_case(job, 1)
    assert (outcome.status, outcome.attempts, outcome.why) == ("done", 1, "")
    fit = ["fit", str(job.case.path), "-o", str(job.run), "-q", "--force", "--iterations", "5"]
    assert program.asked == [fit, ["export", str(job.run), str(exported(job, ".nii")), "--force"]]


def test_what_is_done_is_not_done_again(job: Job, script: Callable[..., Scripted]) -> None:
    script()
    done = fit_case(job, 1)
    program = script()
    assert known_outcome(job) == done
    assert fit_case(job, 1) == done
    assert program.asked == []


@pytest.mark.parametrize(
    "change", ["file", "options", "content", "export lost", "export added", "run lost", "run damaged"]
)
def test_what_is_changed_or_missing_is_done(change: str, job: Job, script: Callable[..., Scripted]) -> None:
    script()
    fit_case(job, 1)
    if change == "file":
        job.case.path.write_bytes(b"other")
    elif change == "options":
        job = replace(job, options=("--iterations", "6"))
    elif change == "content":
        job = replace(job, content="of an edited preset")
    elif change == "run damaged":
        (job.run / "run.json").write_text("[]")
    elif change == "export lost":
        exported(job, ".nii").unlink()
    elif change == "export added":
        job = replace(job, export=(".nii", ".gif"))
    else:
        (job.run / "run.json").unlink()
    program = script()
    assert known_outcome(job) is None
    assert fit_case(job, 1).status == "done"
    begun_anew = change in ("file", "options", "content")
    assert ("--resume" in program.asked[0]) != begun_anew


def test_a_killed_case_is_tried_once_more_from_where_it_was(job: Job, script: Callable[..., Scripted]) -> None:
    program = script(-signal.SIGKILL, 0)
    outcome = fit_case(job, 1)
    assert (outcome.status, outcome.attempts) == ("done", 2)
    assert "--resume" not in program.asked[0] and "--resume" in program.asked[1]


def test_a_run_that_was_to_be_replaced_is_not_taken_for_the_new_one(job: Job, script: Callable[..., Scripted]) -> None:
    """A fit replaces a run with its first step, and may be killed or find no room before."""
    script()
    fit_case(job, 1)
    job = replace(job, options=("--iterations", "6"))
    asked: list[list[str]] = []
    for codes in ((-signal.SIGKILL, -signal.SIGKILL), (BadRequest.exit_code,)):
        program = script(*codes)
        assert fit_case(job, 1).status == "failed"
        assert known_outcome(job) is None
        asked += program.asked
    (job.run / "config.toml").write_text(CONFIG.format("begun"))
    last = script()
    assert fit_case(job, 1).status == "done"
    assert ["--resume" in one for one in (*asked, last.asked[0])] == [False] * 3 + [True]


def test_a_run_that_somebody_fitted_in_the_folder_is_not_taken_for_the_case_s(
    job: Job, script: Callable[..., Scripted]
) -> None:
    job.run.mkdir()
    (job.run / "config.toml").write_text(CONFIG.format("own"))
    script()
    assert fit_case(job, 1).run == "own"
    assert known_outcome(job) is not None
    (job.run / "config.toml").write_text(CONFIG.format("other"))
    assert known_outcome(job) is None
    program = script()
    fit_case(job, 1)
    assert "--force" in program.asked[0]


@pytest.mark.parametrize("code", [-signal.SIGKILL, TIMED_OUT, 128 + signal.SIGKILL])
def test_a_case_killed_twice_has_failed_and_is_tried_by_the_next_batch(
    code: int, job: Job, script: Callable[..., Scripted]
) -> None:
    program = script(code, code, 0)
    outcome = fit_case(job, 1)
    assert (outcome.status, outcome.attempts, outcome.exit_code) == ("failed", 2, code)
    assert program.codes == [0]
    assert known_outcome(job) is None
    assert fit_case(job, 1).status == "done"


def test_a_case_without_memory_goes_on_from_where_it_was_now_and_in_the_next_batch(
    job: Job, script: Callable[..., Scripted]
) -> None:
    """The memory may have been that of the cases beside it."""
    program = script(BadRequest.exit_code, BadRequest.exit_code)
    program.said = "out of memory: rendering slice 0 needs more than there is; choose a smaller --matrix."
    assert fit_case(job, 1).attempts == 2
    assert known_outcome(job) is None
    again = script()
    assert fit_case(job, 1).status == "done"
    resumed = ["fit", str(job.case.path), "-o", str(job.run), "-q", "--resume"]
    assert program.asked[1:] == [resumed]
    assert again.asked[0] == resumed


def test_a_locked_file_is_tried_again_now_and_by_the_next_batch(
    job: Job, script: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dainr.studies.batch.work.LOCKED_S", 0.0)
    script(LockedScan.exit_code, LockedScan.exit_code)
    outcome = fit_case(job, 1)
    assert (outcome.status, outcome.attempts) == ("failed", 2)
    assert known_outcome(job) is None
    script(LockedScan.exit_code, 0)
    assert fit_case(job, 1).status == "done"


@pytest.mark.parametrize(("code", "final"), [(2, False), (3, True), (4, False), (5, False), (1, False)])
def test_an_error_is_not_tried_twice_and_bad_data_stay_bad(
    code: int, final: bool, job: Job, script: Callable[..., Scripted]
) -> None:
    program = script(code)
    outcome = fit_case(job, 1)
    assert (outcome.status, outcome.attempts, outcome.why) == ("failed", 1, "a sentence")
    assert len(program.asked) == 1
    assert (known_outcome(job) == outcome) is final


@pytest.mark.parametrize(
    "why",
    [
        "scan.h5: it cannot be read (Input/output error); check its permissions and the disk.",
        f"scan.h5: {LOST}; copy or export it again.",
        "out of memory: reading needs more than there is; choose a smaller --matrix.",
    ],
)
def test_what_the_machine_may_be_to_blame_for_is_tried_again(
    why: str, job: Job, script: Callable[..., Scripted]
) -> None:
    script(BadScan.exit_code, BadScan.exit_code).said = why
    assert fit_case(job, 1).status == "failed"
    assert known_outcome(job) is None


def test_an_export_in_several_views_is_there(job: Job, script: Callable[..., Scripted]) -> None:
    script()
    done = fit_case(job, 1)
    exported(job, ".nii").rename(job.out / "scan_view1.nii")
    assert known_outcome(job) == done


def test_a_state_that_is_no_use_is_replaced(job: Job, script: Callable[..., Scripted]) -> None:
    script(-signal.SIGKILL, -signal.SIGKILL)
    fit_case(job, 1)
    program = script(3, 0)
    assert fit_case(job, 1).status == "done"
    assert ["--resume" in asked for asked in program.asked] == [True, False, False]


def test_a_failed_export_fails_the_case(job: Job, script: Callable[..., Scripted]) -> None:
    script(0, 2)
    assert fit_case(job, 1).status == "failed"


def test_two_workers_do_a_case_one_after_the_other(job: Job, script: Callable[..., Scripted], out: Path) -> None:
    script()
    (out / CASES).mkdir()
    ended: list[Outcome] = []
    with (out / CASES / "scan.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = threading.Thread(target=lambda: ended.append(fit_case(job, 1)))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not ended
    waiting.join(10)
    assert ended[0].status == "done"


def test_a_link_in_place_of_a_lock_costs_no_file(
    job: Job, script: Callable[..., Scripted], out: Path, tmp_path: Path
) -> None:
    script()
    (tmp_path / "mine").write_text("mine")
    (out / CASES).mkdir()
    (out / CASES / "scan.lock").symlink_to(tmp_path / "mine")
    assert fit_case(job, 1).status == "done"
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_record_that_cannot_be_read_counts_as_none(job: Job, script: Callable[..., Scripted], out: Path) -> None:
    script()
    fit_case(job, 1)
    (out / CASES / "scan.json").write_text(json.dumps({"name": "scan"}))
    assert known_outcome(job) is None
    (out / CASES / "scan.json").write_text("{")
    assert known_outcome(job) is None


@pytest.mark.parametrize(
    ("code", "said", "sentence"),
    [
        (0, "anything", ""),
        (3, "scan\ndainr: scan.h5: it is empty; export it.\n", "scan.h5: it is empty; export it."),
        (1, "Traceback\nValueError: odd\n", "ValueError: odd"),
        (1, "", "exit code 1"),
        (-9, "", "it was killed by SIGKILL; is memory short?"),
        (-15, "", "it was killed by SIGTERM"),
    ],
)
def test_a_failure_is_told_in_one_sentence(code: int, said: str, sentence: str) -> None:
    assert work._sentence(code, said) == sentence


def test_a_command_that_takes_too_long_is_ended(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    assert work._dainr(["fit"], replace(job, limit_s=0.2), dict(os.environ)) == (TIMED_OUT, "it took longer than 0.2 s")


def test_a_command_runs_with_its_share_of_threads_and_its_device(
    job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = tmp_path / "shown"
    shown.write_text('#!/bin/sh\necho "dainr: $OMP_NUM_THREADS $CUDA_VISIBLE_DEVICES" >&2\nexit 1\n')
    shown.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(shown))
    assert work._dainr(["fit"], job, work._environment(2, "GPU-8f")) == (1, "2 GPU-8f")
