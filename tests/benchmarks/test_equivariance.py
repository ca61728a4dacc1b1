"""Both tables of the equivariance benchmark on small scans; turning is what it says."""

from pathlib import Path

import torch

from benchmarks import equivariance
from benchmarks.turning import circle, quarter, smooth_on_grid, smooth_series, turn_error, turned


def test_turns_by_90_degrees_are_about_the_middle_pixel_and_four_are_none() -> None:
    for n in (5, 6):
        x = torch.zeros(n, n)
        x[n // 2, n // 2], x[n // 2 + 1, n // 2] = 1, 2
        once = quarter(x, n // 2)
        assert once[n // 2, n // 2] == 1 and once[n // 2, n // 2 + 1] == 2  # from y towards x
        assert torch.equal(equivariance.quarter_back(once), x)


def test_a_series_drawn_at_an_angle_is_the_series_turned() -> None:
    for degrees, limit in ((90.0, 1e-12), (45.0, 1e-4), (30.0, 1e-4)):
        assert turn_error(lambda a: smooth_series(32, 2, a), degrees) <= limit
        still = smooth_series(32, 2, 0.0)
        assert torch.linalg.vector_norm((turned(still, degrees) - still)[..., circle(32)]) > 0.1


def test_lines_of_a_smooth_series_are_what_it_measures() -> None:
    samples = smooth_on_grid(12, 3, 2)
    assert 0.2 < float(samples.weights.mean()) < 0.7
    torch.testing.assert_close(samples.kspace, samples.measure(smooth_series(12, 3, 0.0)))


def test_both_tables(tmp_path: Path) -> None:
    page = tmp_path / "equivariance.md"
    few = ["--draws", "1", "--seeds", "1", "--steps", "1", "--scans", "1", "--tests", "1", "--learned"]
    equivariance.main([*few, "--matrix", "24", "--frames", "2", "--smooth", "24", "-o", str(page)])
    rows = [line.split("|")[1:-1] for line in page.read_text().splitlines() if line.startswith("| ")]
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert {"lift, inner, project, order 8", "`crunet`", "gridded", "nothing learned"} <= cells.keys()
    scores = cells["`dun-sre`, learned consistency"]
    assert scores[2:5] == scores[5:]  # turned scans are no others to it
    twin = cells["plain twin, equal channels"]
    assert twin[2:5] != twin[5:]
