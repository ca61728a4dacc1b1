"""The table of a batch on a terminal."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dainr.cli.batch_progress import BatchProgress
from dainr.studies.batch.work import Outcome


def test_names_that_look_like_markup_are_shown_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a[/b][red]"
    (tmp_path / "config.toml").touch()
    running: Any = SimpleNamespace(case=SimpleNamespace(name=name), run=tmp_path)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    progress = BatchProgress(quiet=False, n_cases=2)
    progress([running], [Outcome("b" + name, "", {}, "done")])
    progress.close()
    shown = capsys.readouterr().err
    assert f"b{name}: done" in shown
    assert shown.count(name) >= 2
