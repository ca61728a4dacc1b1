from pathlib import Path

import pytest

from benchmarks import cartesian
from dainr.io.scans import native
from dainr.scan import Scan


def test_every_operator_is_timed_and_none_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cartesian, "ROUNDS", 2)
    written = tmp_path / "cartesian.md"
    cartesian.main(["--matrix", "64", "--device", "cpu", "-o", str(written)])
    shown = capsys.readouterr().out
    assert written.read_text().strip() == shown.strip()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines() if "e-0" in line]
    assert [row[0] for row in rows].count("FFT") == 2
    for name, _, ratio, error in rows:
        assert float(error) < (2e-3 if "NUFFT" in name else 1e-5), name
        assert float(ratio) > 0


def test_spokes_are_refused(radial_scan: Scan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    native.write(radial_scan, tmp_path / "radial.h5")
    with pytest.raises(SystemExit):
        cartesian.main([str(tmp_path / "radial.h5")])
    assert "is not Cartesian" in capsys.readouterr().err
