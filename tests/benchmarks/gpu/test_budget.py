"""The budget of a step on paper, and the table of it in the docs."""

from pathlib import Path

import pytest

from benchmarks.gpu import budget

DOCS = Path(__file__).parents[3] / "docs" / "gpu.md"


def test_the_table_in_the_docs_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["budget"])
    budget.main()
    assert capsys.readouterr().out.strip() in DOCS.read_text(encoding="utf-8")


def test_what_is_of_frames_grows_with_them_and_the_canonical_maps_do_not() -> None:
    few, many = (budget.passes(budget.Sizes(64, frames, 4, 13)) for frames in (10, 20))
    assert few["hash grid, canonical network"] == many["hash grid, canonical network"]
    for part in ("warp", "coil images, padded and transformed", "points to grid", "priors"):
        assert many[part] == pytest.approx(2 * few[part])
