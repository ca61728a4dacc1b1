"""Spokes of ISMRMRD files that store no trajectory: placed by a scheme that the user names, and readouts' numbers.

The number of a spoke is its line (`idx.kspace_encode_step_1`) where a slice has each line once, else its place in the
order of time within its slice.
"""

import numpy as np
from jaxtyping import Float, Integer

from dainr.errors import BadRequest, BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_geometry import Geometry
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.ismrmrd_trajectory import large_enough
from dainr.io.scans.spokes import angle_step, spokes


def made_trajectory(
    slices: list[Readouts], scheme: str, last_line: int | None, geometry: Geometry, where: str, decisions: Decisions
) -> tuple[Float[np.ndarray, "readout sample 2"], Geometry]:
    """The trajectory (ky, kx) of the spokes of all slices, in cycles per pixel, and the geometry that holds it.

    `last_line`: the largest line number by the header. Raises BadScan where the header's matrix does not tell how far
    samples are apart, BadRequest for linear spokes without line numbers.
    """
    imaging = Readouts.joined(slices)
    radius = _radius_per_mm(imaging, geometry, where)
    if scheme.startswith("linear"):
        numbers, by = imaging.counter("kspace_encode_step_1"), "line numbers"
        if len(np.unique(numbers)) < 2:
            raise BadRequest(f"--trajectory {scheme}", "its readouts have no line numbers", "say golden, if they are")
        of_a_set = max(int(numbers.max()), last_line or 0) + 1
        by += f", {of_a_set} of a set"
    else:
        numbered = all(len(np.unique(one.counter("kspace_encode_step_1"))) == len(one) for one in slices)
        numbers = np.concatenate([_numbers(one, numbered) for one in slices])
        of_a_set, by = 1, "line numbers" if numbered else "order of time"
    stored = any(points.any() for points in imaging.trajectory)
    told = f"trajectory made of {scheme} spokes by their {by}" + (", instead of the file's" if stored else "")
    decisions.say(f"{told}: the first lies along x", trajectory_made=scheme, spokes_numbered_by=by.partition(",")[0])
    k = spokes(numbers, angle_step(scheme, of_a_set), radius)  # cycles per mm
    geometry = large_enough(k, geometry, decisions)
    pixel_mm = np.array(geometry.fov_mm) / np.array(geometry.matrix)
    return (k * pixel_mm).astype(np.float32), geometry


def _numbers(readouts: Readouts, by_line: bool) -> Integer[np.ndarray, " readout"]:
    if by_line:
        return readouts.counter("kspace_encode_step_1")
    order = np.argsort(readouts.head["acquisition_time_stamp"], kind="stable")
    rank = np.empty(len(readouts), np.int64)
    rank[order] = np.arange(len(readouts))
    return rank


def _radius_per_mm(imaging: Readouts, geometry: Geometry, where: str) -> Float[np.ndarray, "readout sample"]:
    """How far samples are from the k-space centre, cycles per mm: the header tells the resolution, and so the steps.

    Readouts of a multiple of its samples are oversampled, shorter ones are asymmetric echoes.
    """
    first, encoded = imaging.head[0], geometry.encoded.matrix[1]
    n, before, after = (int(first[name]) for name in ("number_of_samples", "discard_pre", "discard_post"))
    told_n = n - before - after if n > encoded and n % encoded else n  # a header need not count what is discarded
    if told_n > encoded and told_n % encoded:
        told = f"its readouts have {told_n} samples where its header tells {encoded}"
        raise BadScan(where, told, "correct matrixSize of encodedSpace in its header")
    step = 1 / (geometry.encoded.pixel_mm[1] * max(told_n, encoded))
    centre = imaging.head["center_sample"].astype(np.int64)
    centre = np.where(centre == 0, (n + before - after) // 2, centre)
    along = (np.arange(n) - centre[:, None]) * step
    turned = imaging.turned()
    along[turned] = -along[turned]
    return along
