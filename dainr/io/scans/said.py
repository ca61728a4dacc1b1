"""What a user says of a scan, whatever its format: lengths, times, place, coil maps and density weights."""

import tokenize
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dainr.cine import in_words
from dainr.errors import BadRequest
from dainr.io.scans.beside import with_coil_maps, with_density
from dainr.io.scans.options import ReadOptions, dashed
from dainr.scan import Scan

AGREE = 0.01  # how far, of its length, a pixel of the affine may be from that of the scan
UNREADABLE = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError, zlib.error)


def as_said(scan: Scan, options: ReadOptions) -> Scan:
    """The scan with what was said of it in place of its own, and a note of lengths and times that still are assumed.

    Raises BadRequest where that does not fit the scan or itself, or a file that is named does not hold it.
    """
    if options.pixel_mm is not None:
        scan = _with_pixels(scan, options.pixel_mm)
    if options.slice_mm is not None:
        scan = _known(scan.changed(slice_thickness_mm=options.slice_mm), "slice_mm", f"slices {options.slice_mm:g} mm")
    if options.frame_ms is not None:
        scan = _with_frame_times(scan, options.frame_ms)
    if options.readout_ms is not None:
        times = np.broadcast_to(np.arange(scan.n_readouts) * options.readout_ms * 1e-3, scan.times.shape)
        scan = _known(scan.changed(times=times), "readout_ms", f"readouts {options.readout_ms:g} ms apart", "frame_ms")
    if options.affine is not None:
        scan = _with_affine(scan, options.affine)
    if options.coil_maps is not None:
        scan = with_coil_maps(scan, options.coil_maps)
    if options.density is not None:
        scan = with_density(scan, options.density)
    if scan.assumed:
        ways = ", ".join(f"--{dashed(name)}" for name in scan.assumed)
        scan = scan.changed(notes=(*scan.notes, f"the file does not hold {in_words(scan.assumed)}: say {ways}"))
    return scan


def _known(scan: Scan, name: str, what: str, *also: str) -> Scan:
    """The scan, in which this is no longer assumed."""
    still = tuple(one for one in scan.assumed if one not in (name, *also))
    return scan.changed(assumed=still, notes=(*scan.notes, f"{what}, as was said"))


def _with_pixels(scan: Scan, pixel_mm: tuple[float, float]) -> Scan:
    """Another field of view about the same centre, index n // 2."""
    ny, nx = scan.matrix
    factor = np.array(pixel_mm[::-1]) / np.array([scan.fov_mm[1] / nx, scan.fov_mm[0] / ny])
    centre = np.array([nx // 2, ny // 2, 0.0])

    def scaled(old: np.ndarray | None) -> np.ndarray | None:
        if old is None:
            return None
        new = old.copy()
        new[..., :3, :2] *= factor
        new[..., :3, 3] += (old[..., :3, :3] - new[..., :3, :3]) @ centre
        return new

    fov_mm = pixel_mm[0] * ny, pixel_mm[1] * nx
    changed = scan.changed(fov_mm=fov_mm, affine=scaled(scan.affine), planes=scaled(scan.planes))
    return _known(changed, "pixel_mm", f"pixels {pixel_mm[0]:g} x {pixel_mm[1]:g} mm")


def _with_frame_times(scan: Scan, frame_ms: float) -> Scan:
    if scan.frame is None:
        raise BadRequest(
            "--frame-ms",
            f"the readouts of {scan.name} are in no frames yet",
            "say --readout-ms instead, that time over its readouts",
        )
    times = np.maximum(scan.frame, 0) * (frame_ms * 1e-3)
    return _known(scan.changed(times=times), "frame_ms", f"frames {frame_ms:g} ms apart", "readout_ms")


def _with_affine(scan: Scan, path: Path) -> Scan:
    affine = read_affine(path)
    if scan.planes is not None:
        why = "its slices are views of several orientations, which one affine cannot place"
        raise BadRequest(f"--affine {path}", why, "leave it out")
    x, y, between = (float(length) for length in np.linalg.norm(affine[:3, :3], axis=0))
    if "pixel_mm" in scan.assumed:
        scan = _with_pixels(scan, (y, x))
    for of_scan, of_file, axis in zip(scan.fov_mm, (y, x), (0, 1), strict=True):
        pixel = of_scan / scan.matrix[axis]
        if abs(pixel - of_file) > AGREE * pixel:
            why = f"its pixels are {y:.4g} x {x:.4g} mm (y, x), those of the scan are"
            size = " x ".join(f"{length / n:.4g}" for length, n in zip(scan.fov_mm, scan.matrix, strict=True))
            raise BadRequest(f"--affine {path}", f"{why} {size} mm", "give the affine of this matrix")
    if "slice_mm" in scan.assumed:
        scan = _known(scan.changed(slice_thickness_mm=between), "slice_mm", f"slices {between:.4g} mm")
    return scan.changed(affine=affine, planes=None, notes=(*scan.notes, f"place and directions from {path.name}"))


def read_affine(path: Path) -> Float[np.ndarray, "4 4"]:
    """The affine in a text file or numpy's .npy. Raises BadRequest where there is none."""
    try:
        affine = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, ndmin=2)
    except UNREADABLE as error:
        raise BadRequest(f"--affine {path}", f"it cannot be read ({error})", "give 4 x 4 numbers") from error
    affine = np.asarray(affine)
    if affine.shape != (4, 4) or affine.dtype.kind not in "iuf" or not np.isfinite(affine).all():
        raise BadRequest(f"--affine {path}", f"it holds no 4 x 4 finite numbers but {affine.shape}", "give those")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not lengths.all() or abs(np.linalg.det(affine[:3, :3])) < 1e-3 * lengths.prod():
        raise BadRequest(f"--affine {path}", "its axes span no volume", "give (x, y, slice) index to RAS mm")
    if not np.allclose(affine[3], [0, 0, 0, 1]):
        raise BadRequest(f"--affine {path}", "its last row is not 0 0 0 1", "give (x, y, slice) index to RAS mm")
    return affine.astype(np.float64)
