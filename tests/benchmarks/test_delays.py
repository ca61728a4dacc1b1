"""The table of delays has every case, and on easy ones the errors are small."""

from pathlib import Path

import pytest

from benchmarks import delays


def test_a_row_for_each_case_and_a_column_for_each_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delays, "cases", lambda: [delays.Case(spokes=13), delays.Case(spokes=13, turn=0.3)])
    delays.main(["--seeds", "1", "--device", "cpu", "-o", str(tmp_path / "out.md")])
    rows = [line.split("|")[1:-1] for line in (tmp_path / "out.md").read_text().splitlines() if " / 0." in line]
    assert [row[0].strip() for row in rows] == ["13", "13, phases by direction"]
    for row in rows:
        assert all(float(figure) < 0.02 for cell in row[1:] for figure in cell.split(" / "))


def test_the_words_of_all_cases_differ() -> None:
    assert len({delays.words(case) for case in delays.cases()}) == len(delays.cases())
