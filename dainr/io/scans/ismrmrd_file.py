"""What is in an ISMRMRD file: its header and its acquisitions, by HDF5."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype
from numpy.lib.recfunctions import require_fields

from dainr.errors import BadScan
from dainr.io.hdf5 import open_hdf5
from dainr.io.scans.ismrmrd_readouts import Readouts

READ_AT_A_TIME = 1024


def read_document(path: Path, group: str) -> bytes:
    """The header, an XML document. Raises BadScan where it cannot be read."""
    with _readable(path), open_hdf5(path) as file:
        document = file[group]["xml"][0]
        return document if isinstance(document, bytes) else str(document).encode()


def read_acquisitions(path: Path, group: str) -> Readouts:
    """All acquisitions, read many at a time; the library, which reads each by itself, takes 2 ms for it.

    Raises BadScan where one cannot be read.
    """
    none = Readouts(np.zeros(0, acquisition_header_dtype), [], [])
    return Readouts.joined([none, *acquisition_parts(path, group)])


def acquisition_parts(path: Path, group: str) -> Iterator[Readouts]:
    """The same, some at a time."""
    with _readable(path), open_hdf5(path) as file:
        stored = file[group]["data"]
        for first in range(0, len(stored), READ_AT_A_TIME):
            rows = stored[first : first + READ_AT_A_TIME]
            head = require_fields(rows["head"], acquisition_header_dtype)
            sizes = zip(
                *(head[n].tolist() for n in ("active_channels", "number_of_samples", "trajectory_dimensions")),
                strict=True,
            )
            data, trajectory = list[np.ndarray](), list[np.ndarray]()
            for (coils, samples, components), values, points in zip(sizes, rows["data"], rows["traj"], strict=True):
                data.append(values.view(np.complex64).reshape(coils, samples))
                trajectory.append(points.astype(np.float32, copy=False).reshape(samples, components))
            yield Readouts(head, data, trajectory)


def holds_images(path: Path, group: str) -> bool:
    """Whether some acquisition of a group is no noise measurement. Raises BadScan where they cannot be read."""
    return not all(noise.all() for noise in _flagged_as_noise(path, group))


def holds_noise(path: Path, group: str) -> bool:
    """Whether some acquisition of a group is a noise measurement. Raises BadScan where they cannot be read."""
    return any(noise.any() for noise in _flagged_as_noise(path, group))


def _flagged_as_noise(path: Path, group: str) -> Iterator[np.ndarray]:
    """Which acquisitions are noise measurements, some at a time."""
    flag = np.uint64(1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1))
    with _readable(path), open_hdf5(path) as file:
        stored = file[group]["data"]
        for first in range(0, len(stored), READ_AT_A_TIME):
            yield (stored[first : first + READ_AT_A_TIME]["head"]["flags"] & flag) != 0


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises BadScan for what the libraries raise where a file is damaged."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise BadScan(str(path), f"its ISMRMRD content cannot be read ({error})", "export it again") from error
