"""Tables of what was tracked, as CSV: one row a frame, in the order of time."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dainr.io.hdf5 import write_whole
from dainr.motion.labels import Volumes
from dainr.motion.strain import SECTORS, WallStrain


def write_volumes(found: Mapping[int, Volumes], times: Float[np.ndarray, " frame"], path: Path) -> None:
    """Volume of every label, and its area in every slice: `frame, time_s, label, volume_ml, area_mm2_slice_0, ...`."""
    n_slices = len(next(iter(found.values())).areas)
    rows: list[Sequence[object]] = [
        ("frame", "time_s", "label", "volume_ml", *(f"area_mm2_slice_{index}" for index in range(n_slices)))
    ]
    for number, one in found.items():
        for frame, time in enumerate(times):
            areas = (f"{area:.2f}" for area in one.areas[:, frame])
            rows.append((frame, f"{time:.4f}", number, f"{one.curve[frame]:.3f}", *areas))
    write_rows(rows, path)


def write_strain(found: Mapping[int, WallStrain], times: Float[np.ndarray, " frame"], path: Path) -> None:
    """Mean strain of every slice's wall and sectors: `slice, frame, time_s, direction, wall, sector_1, ...`."""
    names = ("slice", "frame", "time_s", "direction", "wall", *(f"sector_{n}" for n in range(1, SECTORS + 1)))
    rows: list[Sequence[object]] = [names]
    for index, strain in found.items():
        for direction, means in strain.means().items():
            for frame, time in enumerate(times):
                values = ("" if np.isnan(value) else f"{value:.4f}" for value in means[:, frame])
                rows.append((index, frame, f"{time:.4f}", direction, *values))
    write_rows(rows, path)


def write_rows(rows: Sequence[Sequence[object]], path: Path) -> None:
    """Rows as CSV; the file appears only once it is complete."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with write_whole(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
