"""The layouts of two published demos, as MATLAB's files hold them.

    GRASP   kdata: sample, spoke, coil; k: sample, spoke, complex, cycles per pixel; w: sample, spoke, density weights;
            b1: y, x, coil, coil maps. With frames last, kdata sample, spoke, coil, frame and k, w sample, spoke, frame.
            rawdata stands for kdata as well. https://cai2r.net/resources/grasp-matlab-code
    L+S     kdata: x, y, frame, coil, zeros where nothing was measured; b1: x, y, coil.
            https://cai2r.net/resources/ls-reconstruction-matlab-code

Both transforms are dainr's. The real part of k goes along the first axis of the image, as in the demo's own NUFFT.
"""

from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from dainr.errors import BadRequest, BadScan
from dainr.io.scans.matlab_file import Shapes, Variable
from dainr.io.scans.on_grid import ASSUMED, readouts_on_grid
from dainr.scan import Scan

DEMO = ("kdata", "rawdata")  # names of k-space
TRAJECTORY, DENSITY, MAPS = ("k", "Traj"), ("w", "DensityComp"), "b1"
NO_SPOKES = "--oversampling"
OVERSAMPLING = 2  # of spokes, where no coil maps tell the matrix


def read_demo(shapes: Shapes, variable: Variable, oversampling: float | None, where: str) -> Scan:
    """The scan of variables in one of these layouts, by their shapes and what reads one of them.

    `oversampling`: that of spokes, if it was said. Raises BadScan where they do not fit together, BadRequest where
    nothing is to be said.
    """
    name = next(n for n in DEMO if n in shapes)
    trajectory, density = (next((n for n in names if n in shapes), None) for names in (TRAJECTORY, DENSITY))
    kdata = variable(name)
    if kdata.dtype.kind != "c":
        raise BadScan(where, f"{name} is not complex", "give k-space, not images")
    maps = variable(MAPS) if MAPS in shapes else None
    if oversampling is not None and (trajectory is None or maps is not None):
        why = f"{where} holds {'no spokes' if trajectory is None else f'coil maps {MAPS}, which tell the matrix'}"
        raise BadRequest(NO_SPOKES, why, "leave it out")
    if trajectory is None:
        return _on_grid(kdata, maps, name, where)
    k, weights = variable(trajectory), None if density is None else variable(density)
    names = [name, trajectory, *([] if density is None else [density]), *([] if maps is None else [MAPS])]
    return _spokes(kdata, k, weights, maps, oversampling, names, where)


def _on_grid(kdata: np.ndarray, maps: np.ndarray | None, name: str, where: str) -> Scan:
    if kdata.ndim != 4:
        raise BadScan(where, f"{name} has {kdata.ndim} axes and there is no k", "store it as x, y, frame, coil")
    axes = "x, y, frame, coil"
    if maps is not None and maps.ndim == 3 and kdata.shape[3] != maps.shape[2] == kdata.shape[2]:
        kdata, axes = kdata.swapaxes(2, 3), "x, y, coil, frame"  # as the coil maps tell
    readouts = readouts_on_grid(kdata.transpose(0, 1, 3, 2)[..., None], where)
    stored = None if maps is None else _maps(maps.swapaxes(0, 1), (readouts.kspace.shape[1], *readouts.matrix), where)
    return Scan(
        kspace=readouts.kspace,
        trajectory=readouts.trajectory,
        times=readouts.times,
        frame=readouts.frame.astype(np.int32),
        coil_maps=stored,
        name=where,
        notes=(f"k-space from the variable {name}, read as {axes}",),
        **_of_matrix(readouts.matrix),
        assumed=ASSUMED,
    )


def _spokes(
    kdata: np.ndarray,
    k: np.ndarray,
    w: np.ndarray | None,
    maps: np.ndarray | None,
    oversampling: float | None,
    names: list[str],
    where: str,
) -> Scan:
    told = dict(zip(names, [kdata.shape, k.shape, *(a.shape for a in (w, maps) if a is not None)], strict=True))
    shapes = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in told.items())
    kdata = kdata.reshape(*kdata.shape[:3], *[1] * (3 - min(kdata.ndim, 3)), -1)  # without last axes of one entry
    k = k.reshape(*k.shape[:2], -1)
    if k.shape != (*kdata.shape[:2], kdata.shape[3]) or k.dtype.kind != "c":
        fix = "store k-space as sample, spoke, coil and complex k as sample, spoke"
        raise BadScan(where, f"its variables do not belong together: {shapes}", fix)
    if w is not None and (w.size != k.size or w.dtype.kind == "c"):
        raise BadScan(where, f"its density weights do not fit its k: {shapes}", "store real ones for every sample")
    n_samples, n_spokes, n_coils, n_frames = kdata.shape
    with np.errstate(over="ignore", invalid="ignore"):  # as below
        samples = np.ascontiguousarray(kdata.transpose(2, 3, 1, 0), np.complex64)
        density = None if w is None else _frames_first(w.reshape(k.shape)).astype(np.float32)
    notes = [f"k-space, trajectory and what goes with them from the variables {', '.join(names)}"]
    matrix = _matrix(n_samples, oversampling, notes) if maps is None else (maps.shape[0], maps.shape[1])
    n = n_spokes * n_frames
    times = np.arange(n) / n
    return Scan(
        kspace=samples.reshape(1, n_coils, n, n_samples),
        trajectory=_trajectory(k).reshape(1, n, n_samples, 2),
        times=times[None],
        frame=None if n_frames == 1 else np.repeat(np.arange(n_frames, dtype=np.int32), n_spokes)[None],
        density=None if density is None else density.reshape(1, n, n_samples),
        coil_maps=None if maps is None else _maps(maps, (n_coils, *matrix), where),
        name=where,
        notes=tuple(notes),
        **_of_matrix(matrix),
        assumed=(*ASSUMED[:2], "readout_ms" if n_frames == 1 else "frame_ms"),
    )


def _matrix(n_samples: int, oversampling: float | None, notes: list[str]) -> tuple[int, int]:
    """The matrix of spokes of so many samples, by what is said of their oversampling."""
    factor = OVERSAMPLING if oversampling is None else oversampling
    n = round(n_samples / factor)
    note = f"readouts are taken as oversampled {factor:g} times: the matrix is {n} x {n}"
    notes.append(note if oversampling is not None else f"{note}, --oversampling says another")
    return n, n


def _frames_first(array: np.ndarray) -> np.ndarray:
    """`sample spoke frame` as `frame spoke sample`."""
    return np.ascontiguousarray(array.transpose(2, 1, 0))


def _trajectory(k: Complex[np.ndarray, "sample spoke frame"]) -> Float[np.ndarray, "frame spoke sample 2"]:
    ordered = _frames_first(k)
    with np.errstate(over="ignore"):  # Scan refuses what is not finite
        return np.stack([ordered.real, ordered.imag], -1).astype(np.float32)


def _maps(maps: np.ndarray, wanted: tuple[int, ...], where: str) -> Complex[np.ndarray, "1 coil y x"]:
    """Coil maps `y x coil`."""
    if maps.ndim not in (2, 3):
        raise BadScan(where, f"{MAPS} has {maps.ndim} axes", "store it as y, x, coil")
    stored = maps.reshape(*maps.shape[:2], -1).transpose(2, 0, 1)
    if stored.shape != wanted:
        why = f"its coil maps are {stored.shape} (coil, y, x), its k-space asks for {wanted}"
        raise BadScan(where, why, "give the maps of this scan")
    return np.ascontiguousarray(stored[None], np.complex64)


def _of_matrix(matrix: tuple[int, int]) -> dict[str, Any]:
    """The geometry where nothing is known of it."""
    return {"matrix": matrix, "fov_mm": (float(matrix[0]), float(matrix[1])), "slice_thickness_mm": 1.0}
