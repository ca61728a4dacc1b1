"""The Gram operators, timed on phantoms small enough for a test."""

from pathlib import Path

import pytest

from benchmarks import gram


def test_both_forms_are_timed_and_are_the_same(
    radial_file: Path, cartesian_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gram.main([str(radial_file), str(cartesian_file), "--device", "cpu"])
    rows = [
        line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith(("| rad", "| cart"))
    ]
    assert [row[0].strip() for row in rows] == ["radial", "cartesian"]
    assert all(float(row[-1]) < 1e-4 and float(row[2]) > 0 and float(row[3]) > 0 for row in rows)
