"""Against a noisy reference the truth scores less than the truth with noise of the lines that were seen."""

from pathlib import Path

from benchmarks import noisy_reference


def test_noise_of_the_lines_seen_raises_the_scores_against_a_noisy_reference_only(tmp_path: Path) -> None:
    noisy_reference.main(["-o", str(tmp_path / "out.md")])
    lines = [line.split("|")[1:-1] for line in (tmp_path / "out.md").read_text().splitlines() if line.startswith("| 0")]
    truth = noisy_reference.rows(27.0)
    assert [tuple(cell.strip() for cell in line) for line in lines] == truth[1:]
    noisy = [float(row[1].split("/")[0]) for row in truth]
    assert noisy == sorted(noisy)
    assert truth[0][2] == "equal"
    clean = [float(row[2].split("/")[0]) for row in truth[1:]]
    assert clean == sorted(clean, reverse=True)
