"""BART's files: k-space in name.cfl with its sizes in name.hdr; beside them trajectory and coil maps, found by name.

Axes, fastest first: 0 x (read), 1 y (phase), 3 coil, 10 time, 13 slice; of a trajectory 0 component, 1 sample, 2
spoke, in cycles per field of view. Cartesian k-space stands on its grid with zeros where nothing was measured. The
transforms are dainr's: orthonormal, centred at n // 2. https://github.com/mrirecon/bart
"""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Complex, Float

from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.hdf5 import write_whole
from dainr.io.scans.on_grid import ASSUMED, PERHAPS_VIEWS, readouts_on_grid
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

NAME = "BART's .cfl with its .hdr"
TAKES: frozenset[str] = frozenset()
COIL, TIME, SLICE, N_AXES = 3, 10, 13, 16
KINDS = ("kspace", "ksp", "data")  # words for k-space in a file's name, which another word stands for beside it
CREATOR = "# Creator\ndainr"  # in the header of images
BESIDE = {"trajectory": ("traj", "trajectory"), "coil maps": ("sens", "maps", "coils")}


def recognises(path: Path) -> bool:
    """Whether this is one of BART's two files, its header beside it or itself, and no images that dainr wrote."""
    header = path.with_suffix(".hdr")
    if path.suffix not in (".cfl", ".hdr") or not header.is_file():
        return False
    with header.open("rb") as file:
        begins = file.read(4096)
    return begins.startswith(b"# Dimensions") and CREATOR.encode() not in begins


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in BART's files.

    Raises BadScan when a file is truncated, an axis holds what a cine has not, or samples are no whole readouts.
    """
    where = str(path)
    kspace = read_cfl(path)
    beside = {kind: _beside(path, kind) for kind in BESIDE}
    notes = [f"{kind} from {file.name}" for kind, file in beside.items() if file is not None]
    stored = beside["coil maps"]
    maps = None if stored is None else coil_maps_of(read_cfl(stored), str(stored))
    notes += [PERHAPS_VIEWS.format(kspace.shape[SLICE])] if kspace.shape[SLICE] > 1 else []
    frame: np.ndarray | None
    matrix: tuple[int, ...]
    if beside["trajectory"] is None:
        k = _axes(kspace, (0, 1, COIL, TIME, SLICE), where)
        readouts = readouts_on_grid(k, where)
        samples, trajectory, frame, matrix = readouts
        times = readouts.times
    else:
        points = read_cfl(beside["trajectory"])
        matrix = _matrix(points, str(beside["trajectory"])) if maps is None else maps.shape[2:]
        samples, trajectory, frame = _off_grid(kspace, points, matrix, where)
        n = samples.shape[2]
        times = np.arange(n) / n if frame is None else frame / (frame.max() + 1)
    if maps is not None and maps.shape != (*samples.shape[:2], *matrix):
        raise BadScan(
            where,
            f"its coil maps are {maps.shape} (slice, coil, y, x), its k-space asks for {(*samples.shape[:2], *matrix)}",
            "give the maps of this scan",
        )
    in_each_slice = len(samples), samples.shape[2]
    return Scan(
        kspace=samples,
        trajectory=trajectory,
        times=np.broadcast_to(times, in_each_slice),
        matrix=(int(matrix[0]), int(matrix[1])),
        fov_mm=(float(matrix[0]), float(matrix[1])),
        slice_thickness_mm=1.0,
        frame=None if frame is None else np.broadcast_to(frame.astype(np.int32), in_each_slice),
        coil_maps=maps,
        name=where,
        notes=tuple(notes),
        decided={"slices_may_be_views": True} if len(samples) > 1 else {},
        assumed=ASSUMED if frame is not None else (*ASSUMED[:2], "readout_ms"),
    )


def read_cfl(path: Path) -> Complex[np.ndarray, "..."]:
    """An array of 16 axes, the first fastest, mapped from the file. Raises BadScan when sizes and file disagree."""
    header, data = path.with_suffix(".hdr"), path.with_suffix(".cfl")
    try:
        line = header.read_text(encoding="utf-8", errors="replace").splitlines()[1]
        sizes = [int(n) for n in line.split()]
    except (OSError, IndexError, ValueError) as error:
        raise BadScan(str(header), "it does not list the sizes of the axes", "write the files again") from error
    sizes += [1] * (N_AXES - len(sizes))
    expected = 8 * math.prod(sizes)
    if min(sizes) < 1 or len(sizes) > N_AXES or not data.is_file() or data.stat().st_size != expected:
        has = f"{data.stat().st_size} bytes" if data.is_file() else "nothing"
        raise BadScan(str(data), f"it has {has} where its header asks for {expected} bytes", "copy or write it again")
    return np.memmap(data, np.complex64, "r", shape=tuple(sizes), order="F")


def write_cfl(path: Path, array: np.ndarray) -> None:
    """An array as path.cfl and path.hdr, its first axis fastest."""
    sizes = [*array.shape, *[1] * (N_AXES - array.ndim)]
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, sizes)) + "\n")
    array.astype(np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))


def write_images(cine: Cine, path: Path) -> None:
    """A cine as path.cfl and path.hdr: x, y, time on axis 10, slice on axis 13. Both appear once they are complete."""
    n_slices, n_frames, ny, nx = cine.data.shape
    sizes = [nx, ny, *[1] * (N_AXES - 2)]
    sizes[TIME], sizes[SLICE] = n_frames, n_slices
    with write_whole(path, cine.data.size * 8) as data, write_whole(path.with_suffix(".hdr")) as header:
        header.write_text(f"# Dimensions\n{' '.join(map(str, sizes))}\n{CREATOR}\n")
        cine.data.astype(np.complex64).tofile(data)


def companions(path: Path) -> list[Path]:
    """The trajectory and the coil maps of a k-space, of those that are there."""
    return [file for file in (_beside(path, kind) for kind in BESIDE) if file is not None]


def files(path: Path) -> list[Path]:
    """All files that a scan is read from, headers too."""
    return [part for data in (path, *companions(path)) for part in (data.with_suffix(".cfl"), data.with_suffix(".hdr"))]


def _beside(path: Path, kind: str) -> Path | None:
    """The file of a kind: name_traj.cfl, or the name with its word for k-space exchanged."""
    for word in BESIDE[kind]:
        names = [f"{path.stem}_{word}", *(path.stem.replace(one, word) for one in KINDS if one in path.stem)]
        for name in names:
            found = path.with_name(f"{name}.cfl")
            if found != path and found.is_file():
                return found
    return None


def _axes(array: np.ndarray, allowed: tuple[int, ...], where: str) -> np.ndarray:
    """The allowed axes, in their order, of an array whose other axes have one entry."""
    for axis, size in enumerate(array.shape):
        if size > 1 and axis not in allowed:
            raise BadScan(
                where, f"its axis {axis} has {size} entries, which a 2-D cine has not", f"choose one: bart slice {axis}"
            )
    rest = tuple(axis for axis in range(N_AXES) if axis not in allowed)
    return np.squeeze(array, rest)


def coil_maps_of(array: Complex[np.ndarray, "..."], where: str) -> Complex[np.ndarray, "slice coil y x"]:
    """Coil maps of BART's axes. Raises BadScan where it has others, as several sets of maps."""
    maps = _axes(array, (0, 1, COIL, SLICE), where)
    return np.ascontiguousarray(maps.transpose(3, 2, 1, 0))


def density_of(array: Complex[np.ndarray, "..."], where: str) -> Float[np.ndarray, "slice readout sample"]:
    """Density weights, one frame after another. Raises BadScan where they have other axes than those of samples."""
    weights = _axes(array, (1, 2, TIME, SLICE), where).real.transpose(3, 2, 1, 0)  # slice, time, spoke, sample
    return np.ascontiguousarray(weights).reshape(len(weights), -1, weights.shape[3])


def _matrix(points: np.ndarray, where: str) -> tuple[int, int]:
    """The smallest even matrix that holds the trajectory."""
    largest = float(np.abs(points[:2].real).max())
    if not 1 <= largest < math.inf:
        raise BadScan(where, f"its largest k is {largest:g}", "give k in cycles per field of view")
    return (2 * math.ceil(largest - 1e-3),) * 2


def _off_grid(
    kspace: np.ndarray, points: np.ndarray, matrix: tuple[int, ...], where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Samples, trajectory and frame of all spokes, one frame after another."""
    k = _axes(kspace, (1, 2, COIL, TIME, SLICE), where)  # sample spoke coil time slice
    p = _axes(points, (0, 1, 2, TIME, SLICE), where)  # component sample spoke time slice
    n_samples, n_spokes, n_coils, n_frames, n_slices = k.shape
    try:
        p = np.broadcast_to(p.real, (3, n_samples, n_spokes, n_frames, n_slices))
    except ValueError as error:
        raise BadScan(where, f"its trajectory has sizes {p.shape}, its k-space {k.shape}", "pair them") from error
    if np.abs(p[2]).max() > 0:
        raise BadScan(where, "its trajectory leaves the plane", "reconstruct stacks of 2-D slices, one file each")
    samples = np.ascontiguousarray(k.transpose(4, 2, 3, 1, 0)).reshape(n_slices, n_coils, -1, n_samples)
    in_pixels = np.stack([p[1] / matrix[0], p[0] / matrix[1]], -1)  # sample spoke time slice 2
    trajectory = in_pixels.transpose(3, 2, 1, 0, 4).reshape(n_slices, -1, n_samples, 2)
    frame = np.repeat(np.arange(n_frames), n_spokes) if n_frames > 1 else None
    return samples, np.ascontiguousarray(trajectory, np.float32), frame
