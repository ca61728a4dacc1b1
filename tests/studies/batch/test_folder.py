"""A whole batch: what runs of it, when it is checked, and that no other is at work."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from dainr.errors import BadRequest
from dainr.studies.batch import folder
from dainr.studies.batch.cases import Case
from dainr.studies.batch.engine import Workers
from dainr.studies.batch.folder import fit_folder
from dainr.studies.batch.work import Job, Outcome


def outcome(job: Job) -> Outcome:
    return Outcome(job.case.name, str(job.case.path), {}, "failed", "it is damaged", 3)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], int]]:
    """The names and the number of workers of every call; of the cases, `a` is known already."""
    calls: list[tuple[list[str], int]] = []

    def run(jobs: Sequence[Job], workers: Workers, watch: object) -> list[Outcome]:
        calls.append(([job.case.name for job in jobs], workers.count))
        return [outcome(job) for job in jobs]

    monkeypatch.setattr(folder, "run_jobs", run)
    monkeypatch.setattr(folder, "known_outcome", lambda job: outcome(job) if job.case.name == "a" else None)
    return calls


def jobs(out: Path, *names: str) -> list[Job]:
    return [Job(Case(name, Path(name)), out, (), (), 0.0) for name in names]


def watch(jobs: Sequence[Job], outcomes: list[Outcome]) -> None: ...


def test_known_cases_are_not_run_again_and_all_are_summed_up(ran: list[tuple[list[str], int]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = fit_folder(jobs(out, "a", "b", "c"), out, lambda left: Workers(8), watch)
    assert ran == [(["b", "c"], 2)]
    assert [(row["case"], row["status"]) for row in rows] == [(name, "failed") for name in "abc"]
    assert (out / "index.html").is_file()


def test_what_is_wrong_is_found_before_anything_runs_and_only_if_something_would(
    ran: list[tuple[list[str], int]], tmp_path: Path
) -> None:
    def refuse(_: Sequence[Job]) -> Workers:
        raise BadRequest("--preset", "there is no such preset", "choose another")

    with pytest.raises(BadRequest, match="no such preset"):
        fit_folder(jobs(tmp_path, "a", "b"), tmp_path, refuse, watch)
    assert ran == []
    assert len(fit_folder(jobs(tmp_path, "a"), tmp_path, refuse, watch)) == 1


def test_one_batch_at_a_time_is_at_work_in_a_folder(ran: list[tuple[list[str], int]], tmp_path: Path) -> None:
    def again(left: Sequence[Job]) -> Workers:
        assert [job.case.name for job in left] == ["b"]
        with pytest.raises(BadRequest, match="another batch is at work"):
            fit_folder(jobs(tmp_path, "a"), tmp_path, again, watch)
        return Workers(1)

    fit_folder(jobs(tmp_path, "a", "b"), tmp_path, again, watch)
    assert ran == [(["b"], 1)]


@pytest.mark.parametrize("count", [0, -1])
def test_somebody_has_to_work(count: int) -> None:
    with pytest.raises(BadRequest, match=f"--jobs {count}"):
        Workers(count)
