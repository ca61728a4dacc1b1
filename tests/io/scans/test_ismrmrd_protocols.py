"""Protocols drawn at random: whatever the header leaves out or has wrong, every sample lies where it was measured.

The object is a sum of Gaussians in mm, whose transform is known at every k. What is read must be that, but for one
factor, at the places that the trajectory tells: a squeeze, shift or flip would show in all samples at once.
"""

from dataclasses import dataclass

import ismrmrd
import numpy as np
import pytest

from dainr.io.scans.formats import read
from tests.io import header, readout, write_file

COILS = 3
BLOBS = 7


@dataclass
class Body:
    """Gaussians `blob`: places (y, x) and widths in shares of the field of view, and what each coil sees of them."""

    place: np.ndarray
    width: np.ndarray
    seen: np.ndarray  # coil, blob

    @classmethod
    def drawn(cls, random):
        place = random.uniform(-0.28, 0.28, (BLOBS, 2)) + 0.05
        seen = random.normal(size=(COILS, BLOBS)) * 0.3 + 1 + 0.3j * random.normal(size=(COILS, BLOBS))
        return cls(place, random.uniform(0.03, 0.06, BLOBS), seen)

    def at(self, k, fov_mm):
        """The transform `coil ...` at k (cycles per mm, y and x last)."""
        k = k * np.array(fov_mm)
        damped = np.exp(-2 * (np.pi * self.width) ** 2 * (k**2).sum(-1)[..., None])
        turned = np.exp(-2j * np.pi * (k[..., None, :] * self.place).sum(-1))
        return np.moveaxis((damped * turned * self.width**2) @ self.seen.T, -1, 0)


def assert_measured(scan, bodies, fov_mm):
    """`bodies`: of the slices, in the order in which they are read."""
    assert scan.n_slices == len(bodies)
    pixel = np.array(scan.fov_mm) / np.array(scan.matrix)
    for index, body in enumerate(bodies):
        used = scan.used[index]
        truth = body.at(scan.trajectory[index][used] / pixel, fov_mm)
        found = scan.kspace[index][:, used]
        factor = np.vdot(truth, found) / np.vdot(truth, truth)
        assert np.linalg.norm(found - factor * truth) < 0.03 * np.linalg.norm(found)


def lines_protocol(seed):
    """Header, readouts and truth of Cartesian lines."""
    random = np.random.default_rng(seed)
    ny, nx = (int(random.integers(24, 49)) for _ in range(2))
    pixel = random.uniform(1.0, 8.0)
    oversampling = int(random.choice([1, 2, 2, 4]))
    phase_oversampling = float(random.choice([1.0, 1.0, 1.25]))
    fov = np.array([ny * pixel * phase_oversampling, nx * pixel])
    n_lines = round(ny * phase_oversampling)
    fov[0] = n_lines * pixel
    zoom = float(random.choice([1.0, 1.0, 1.5, 2.0]))
    told = str(random.choice(["right", "right", "no oversampling"])) if oversampling > 1 else "right"
    n = oversampling * nx
    missing_x = int(random.integers(0, n // 3)) if told == "right" and random.uniform() < 0.4 else 0
    share = float(random.choice([1.0, 1.0, 5 / 8, 6 / 8, 7 / 8]))
    first = n_lines - round(share * n_lines)
    centre = n_lines // 2 - first
    centre_told = {"right": centre, "wrong": n_lines // 2, "none": None}[str(random.choice(["right", "wrong", "none"]))]
    n_slices, n_frames, tr_ms = int(random.integers(1, 5)), int(random.integers(1, 4)), random.uniform(2.4, 6)
    unit_s = float(random.choice([2.5e-3, 1e-3, 1e-6]))
    metres = 1e-3 if random.uniform() < 0.2 else 1.0
    step = int(random.choice([1, 2, 3]))
    bodies = [Body.drawn(random) for _ in range(n_slices)]
    order = random.permutation(n_slices)
    readouts, clock = [], 4000.0
    for frame in range(n_frames):
        near = {line for line in range(n_lines - first) if abs(line - centre) < 6}
        for line in sorted(near | set(range(frame % step, n_lines - first, step))):
            for height in order:
                ky = (line - centre) / fov[0]
                kx = (np.arange(n) - n // 2) / (oversampling * fov[1])
                k = np.stack(np.broadcast_arrays(ky, kx), -1)[missing_x:]
                turned = random.uniform() < 0.1 and not missing_x
                data = bodies[height].at(k, fov)
                readouts.append(
                    readout(
                        data[:, ::-1] if turned else data,
                        flags=(ismrmrd.ACQ_IS_REVERSE,) if turned else (),
                        kspace_encode_step_1=line,
                        slice=int(np.flatnonzero(order == height)[0]),
                        phase=frame,
                        stamp=int(clock / unit_s) % 2**32,
                        center_sample=n // 2 - missing_x,
                        position=(0, 0, 9.0 * height),
                        read_dir=(1, 0, 0),
                        phase_dir=(0, 1, 0),
                        slice_dir=(0, 0, 1),
                    )
                )
                clock += tr_ms * 1e-3
    n_told = nx if told == "no oversampling" else n
    fov_told = fov * [1, 1 if told == "no oversampling" else oversampling]
    document = header(
        (n_lines, n_told),
        (round(ny * zoom), round(nx * zoom)),
        (metres * float(fov_told[0]), metres * float(fov_told[1])),
        (metres * ny * pixel, metres * float(fov[1])),
        thickness=8.0 * metres,
        tr_ms=tr_ms,
        centre_line=centre_told,
    )
    return document, readouts, bodies, fov, n_frames, tr_ms * 1e-3 * (len(readouts) - 1)


@pytest.mark.parametrize("seed", range(30))
def test_lines_of_any_protocol_lie_where_they_were_measured(tmp_path, seed):
    document, readouts, bodies, fov, n_frames, lasts = lines_protocol(seed)
    scan = read(write_file(tmp_path / "l.h5", document, readouts))
    assert_measured(scan, bodies, fov)
    assert max(scan.n_frames, 1) == n_frames
    assert scan.times.max() == pytest.approx(lasts, abs=0.006)
    assert scan.is_cartesian


UNITS = {  # what one cycle per mm is, by the encoded pixel and field of view (y, x) in mm
    "cycles per pixel": lambda pixel, fov: pixel,
    "radians per pixel": lambda pixel, fov: 2 * np.pi * pixel,
    "cycles per field of view": lambda pixel, fov: fov,
    "from -1 to 1": lambda pixel, fov: 2 * pixel,
    "cycles per m": lambda pixel, fov: 1e3,
    "radians per m": lambda pixel, fov: 2e3 * np.pi,
}


def curves(random, n_samples, pixel):
    """Spokes, half spokes or spirals, k `curve sample 2` (y, x) in cycles per mm."""
    count, kind = int(random.integers(5, 40)), str(random.choice(["golden", "uniform", "half", "spiral"]))
    step = {"golden": np.deg2rad(111.246), "uniform": np.pi / count}.get(kind, 2 * np.pi / count)
    through = kind in ("golden", "uniform")
    radius = (np.arange(n_samples) - n_samples // 2) / n_samples if through else 0.5 * np.arange(n_samples) / n_samples
    angle = step * np.arange(count)[:, None] + (12 if kind == "spiral" else 0) * radius
    return radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], -1) / pixel


@pytest.mark.parametrize("seed", range(30))
def test_trajectories_of_any_protocol_lie_where_they_were_measured(tmp_path, seed):
    random = np.random.default_rng(seed)
    n = random.integers(24, 64, 2)
    pixel, wide = random.uniform(1, 8), int(random.choice([1, 1, 2]))
    zoom, oversampling = float(random.choice([1, 1, 4 / 3, 1.5, 2])), int(random.choice([1, 2]))
    fov, body = n * pixel, Body.drawn(random)
    k = curves(random, oversampling * int(n[1]), pixel)
    data = body.at(k, fov)
    stored = (k * UNITS[str(random.choice(list(UNITS)))](pixel, wide * fov))[..., ::-1]
    if random.uniform() < 0.2:  # and a density weight
        stored = np.concatenate([stored, np.linalg.norm(k, axis=-1, keepdims=True)], -1)
    readouts = [readout(data[:, i], points, kspace_encode_step_1=i, stamp=i) for i, points in enumerate(stored)]
    document = header(
        tuple((wide * n).tolist()),
        tuple(np.round(zoom * n).astype(int).tolist()),
        tuple((wide * fov).tolist()),
        tuple(fov.tolist()),
        kind="radial",
    )
    assert_measured(read(write_file(tmp_path / "r.h5", document, readouts)), [body], fov)
