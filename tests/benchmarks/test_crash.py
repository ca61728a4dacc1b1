"""What a killed command may leave: files as before or as after, by content, times and ids aside."""

import json
import os
from pathlib import Path

import h5py
import numpy as np

from benchmarks.crash_content import Expected, content


def write(folder: Path, seed: int, seconds: float) -> None:
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / "cine.h5", "w") as file:
        file["cine"] = np.random.default_rng(seed).normal(size=8)
        file.attrs["run"] = str(seconds)  # an id
    (folder / "run.json").write_text(
        json.dumps({"seed": seed, "seconds": {"total": seconds}, "id": str(seconds), "run": str(seconds)})
    )
    (folder / "page.html").write_text(f"<html>{'seed ' * seed} {seconds} s</html>")
    (folder / "notes.txt").write_text("mine")
    (folder / ".hidden").write_text(str(seconds))


def test_times_and_ids_are_no_content(tmp_path: Path) -> None:
    write(tmp_path / "a", 1, 0.5)
    write(tmp_path / "b", 1, 17.25)
    write(tmp_path / "c", 2, 0.5)
    first, same, other = (content(tmp_path / name) for name in "abc")
    assert first == same
    assert [name for name in first if first[name] != other[name]] == ["cine.h5", "page.html", "run.json"]
    assert list(first) == ["cine.h5", "notes.txt", "page.html", "run.json"]


def test_what_is_neither_old_nor_new_is_told(tmp_path: Path) -> None:
    for seed, name in enumerate(("old", "new", "killed")):
        write(tmp_path / name, seed, 1.0)
    old, new = content(tmp_path / "old"), content(tmp_path / "new")
    expected = Expected(old, new, new)
    assert expected.faults_after_kill(old) == expected.faults_after_kill(new) == expected.faults_at_end(new) == []
    assert "run.json is neither old nor new" in expected.faults_after_kill(content(tmp_path / "killed"))
    (tmp_path / "killed" / "notes.txt").unlink()
    assert "notes.txt is gone" in expected.faults_after_kill(content(tmp_path / "killed"))
    os.truncate(tmp_path / "old" / "cine.h5", 100)
    assert any("cannot be read" in fault for fault in expected.faults_after_kill(content(tmp_path / "old")))
    assert Expected(old, new, old).varying == ["cine.h5", "page.html", "run.json"]
    assert Expected(old, new, new, by_clock=(r"page\.html",)).varying == ["page.html"]


def test_a_log_that_lost_a_line_or_has_it_twice_is_another(tmp_path: Path) -> None:
    def log(name: str, steps: list[int], seconds: float = 0.1) -> str:
        lines = [json.dumps({"step": step, "seconds": seconds * step}) for step in steps]
        (tmp_path / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
        return content(tmp_path)[f"{name}.jsonl"]

    assert log("whole", [1, 2, 3]) == log("later", [1, 2, 3], 0.7)
    assert len({log("whole", [1, 2, 3]), log("lost", [1, 3]), log("twice", [1, 2, 2, 3])}) == 3


def test_of_a_study_the_attempts_that_ended_count(tmp_path: Path) -> None:
    def study(name: str, killed: int, score: float) -> str:
        lines: list[dict] = [{"op_code": 4}] * (killed + 1)
        lines += [{"op_code": 5, "trial_id": n, "param_value_internal": 0.5} for n in range(killed + 1)]
        lines += [{"op_code": 6, "trial_id": killed, "state": 1, "values": [score]}]
        half = '{"op_code":4,"wor'
        (tmp_path / f"{name}.study").write_text("".join(json.dumps(line) + "\n" for line in lines) + half)
        return content(tmp_path)[f"{name}.study"]

    assert study("whole", 0, 1.0) == study("killed", 1, 1.0) != study("other", 0, 2.0)
