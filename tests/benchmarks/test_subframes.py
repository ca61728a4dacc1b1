from pathlib import Path

import pytest

from benchmarks import subframes


@pytest.mark.usefixtures("in_process")
def test_every_length_of_frame_is_fitted_at_every_number_of_subframes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subframes, "FRAMES", ((3, 5),))
    monkeypatch.setattr(subframes, "warm_up", lambda *_: None)
    quick = [text for pair in ("iterations=2", "coarse_steps=2", "encoder=none") for text in ("--set", pair)]
    written = tmp_path / "subframes.md"
    subframes.main(["--subframes", "1,2", "--repeats", "1", "--matrix", "32", *quick, "-o", str(written)])
    shown = capsys.readouterr().out
    assert shown.count("subframe a frame |") == shown.count("subframes a frame |") == 1
    assert written.read_text().strip() == shown.strip()
