"""Every method is scored at every window, on the frames all of them have."""

from pathlib import Path

import pytest

from benchmarks import window


@pytest.mark.usefixtures("in_process")
def test_every_method_is_scored_at_every_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "FRAMES", 6)
    monkeypatch.setattr(window, "WINDOWS", (1, 3))
    monkeypatch.setattr(window, "METHODS", ("dainr", "gridding"))
    monkeypatch.setattr(window, "warm_up", lambda *_: None)
    quick = [text for pair in ("iterations=2", "coarse_steps=0", "encoder=none") for text in ("--set", pair)]
    window.main(["--repeats", "2", "--matrix", "32", *quick, "-o", str(tmp_path / "window.md")])
    rows = [
        line.split("|")[1:-1] for line in (tmp_path / "window.md").read_text().splitlines() if line.startswith("| `")
    ]
    assert [row[0].strip() for row in rows] == ["`dainr`", "`gridding`"]
    assert all("±" in cell for cell in rows[0][1:]) and not any("±" in cell for cell in rows[1][1:])
    narrow, wide = (float(cell.split("/")[0]) for cell in rows[1][1:])
    assert wide > narrow + 1  # three times the spokes, and hardly any motion between them
