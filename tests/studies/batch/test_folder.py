"""A whole batch: what runs of it, when it is checked, and that no other is at work."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dainr.errors import BadRequest
from dainr.studies.batch import folder
from dainr.studies.batch.cases import Case
from dainr.studies.batch.engine import Workers
from dainr.studies.batch.folder import fit_folder
from dainr.studies.batch.summary import write_summary
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


@pytest.mark.parametrize("name", ["a", "a.nii.gz", "b_view1.nii.gz", "summary.csv", "index.html", ".cases"])
def test_what_no_batch_wrote_is_left_and_named_before_anything_runs(
    name: str, ran: list[tuple[list[str], int]], tmp_path: Path
) -> None:
    todo = [replace(job, export=(".nii.gz",)) for job in jobs(tmp_path, "a", "b")]
    (tmp_path / name).write_text("somebody's")
    with pytest.raises(BadRequest, match="no batch wrote"):
        fit_folder(todo, tmp_path, lambda left: Workers(1), watch)
    assert ran == [] and (tmp_path / name).read_text() == "somebody's"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({name, ".lock"})


def test_what_a_batch_wrote_is_replaced_also_after_it_was_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    todo = [replace(job, export=(".nii.gz",)) for job in jobs(tmp_path, "a")]

    def die(*_: object) -> list[Outcome]:
        (tmp_path / "a.nii.gz").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "run_jobs", die)
    with pytest.raises(KeyboardInterrupt):
        fit_folder(todo, tmp_path, lambda left: Workers(1), watch)
    monkeypatch.setattr(folder, "run_jobs", lambda todo, *_: [outcome(job) for job in todo])
    assert len(fit_folder(todo, tmp_path, lambda left: Workers(1), watch)) == 1


def test_what_a_batch_never_wrote_is_not_its_own_later(ran: list[tuple[list[str], int]], tmp_path: Path) -> None:
    todo = [replace(job, export=(".nii.gz",)) for job in jobs(tmp_path, "a")]
    fit_folder(todo, tmp_path, lambda left: Workers(1), watch)  # the case failed: there is no export
    (tmp_path / "a.nii.gz").write_text("somebody's")
    with pytest.raises(BadRequest, match=r"no batch wrote a\.nii\.gz"):
        fit_folder(todo, tmp_path, lambda left: Workers(1), watch)


def test_a_lock_of_somebody_is_not_emptied(ran: list[tuple[list[str], int]], tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("somebody's")
    fit_folder(jobs(tmp_path, "a"), tmp_path, lambda left: Workers(1), watch)
    assert (tmp_path / ".lock").read_text() == "somebody's"


@pytest.mark.parametrize("record", ["", "[]", '{"status": "done"}', "\x00"])
def test_a_damaged_record_and_a_name_that_is_no_text_are_lines_of_the_summary(record: str, tmp_path: Path) -> None:
    names = ["good", "damaged"]
    todo = jobs(tmp_path, *names)
    for job in todo:
        job.run.mkdir()
        (job.run / "run.json").write_text(record)
    odd = replace(todo[0], case=Case("%FF", Path(os.fsdecode(b"p\xff.h5"))))
    ended = [Outcome(job.case.name, str(job.case.path), {}, "done") for job in todo]
    ended.append(Outcome("%FF", str(odd.case.path), {}, "failed", f"{odd.case.path}: it is empty; copy it again."))
    rows = write_summary(tmp_path, [*todo, odd], ended)
    assert [row["status"] for row in rows] == ["failed"] * 3
    assert "it is damaged" in rows[0]["why"] and "p%FF.h5: it is empty" in rows[2]["why"]
    for name in ("summary.csv", "summary.json", "index.html"):
        assert "p%FF.h5" in (tmp_path / name).read_text(encoding="utf-8")
