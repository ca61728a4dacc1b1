"""Cartesian ISMRMRD lines: which samples are kept, where the echo and the central line are, oversampling removed."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Complex, Float, Integer

from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_centre import central_line, energy_of_lines
from dainr.io.scans.ismrmrd_geometry import Geometry
from dainr.io.scans.ismrmrd_header import Header
from dainr.io.scans.ismrmrd_oversampling import crop_readout, fills
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.scan import K_MAX, K_TOLERANCE

MOST_BEYOND = 2  # times the lines of the encoded matrix, those measured may be
FEW_BEYOND = 0.05  # of the encoded samples, may lie beyond them where the echo is said to come a little early or late
MOST_MISSING = 4  # times as long as what was measured of it, a readout is no asymmetric echo
PILOT_TONE = 3, 1  # samples at the start and end of a readout that it disturbs, as OCMR's reader has it
WIDER = 1.2  # times the image's field of view, an encoded one is oversampled
SAME_LENGTH = 0.01  # fields of view or pixels that differ by less are alike


@dataclass(frozen=True)
class Kept:
    """Which samples of readouts are kept, in the order they were measured in."""

    discarded: tuple[int, int]  # at the start and end, as their heads tell
    disturbed: tuple[int, int]  # by a pilot tone, after those

    @property
    def ends(self) -> tuple[int, int]:
        """Samples left out at the start and the end."""
        return self.discarded[0] + self.disturbed[0], self.discarded[1] + self.disturbed[1]

    def of(self, n: int) -> slice:
        """Those of a readout of n samples."""
        return slice(self.ends[0], n - self.ends[1])


def kept_samples(imaging: Readouts, pilot_tone: bool, where: str, decisions: Decisions) -> Kept:
    """The samples of readouts that are neither discarded nor disturbed. Raises BadScan where none are left."""
    first = imaging.head[0]
    n = int(first["number_of_samples"])
    kept = Kept((int(first["discard_pre"]), int(first["discard_post"])), PILOT_TONE if pilot_tone else (0, 0))
    if len(np.unique(imaging.turned())) > 1:  # of readouts in both directions the ends change places
        worst = max(kept.ends)
        kept = Kept(kept.discarded, (worst - kept.discarded[0], worst - kept.discarded[1]))
    if sum(kept.ends) >= n:
        raise BadScan(where, f"of {n} samples per readout, {sum(kept.ends)} are to be discarded", "export it again")
    if any(kept.ends):
        why = ", disturbed by the pilot tone" if pilot_tone else ""
        decisions.say(f"{kept.ends[0]} samples at the start and {kept.ends[1]} at the end of readouts dropped{why}")
    return kept


def cartesian_readouts(
    imaging: Readouts, kept: Kept, geometry: Geometry, header: Header, where: str, decisions: Decisions
) -> tuple[Complex[np.ndarray, "readout coil sample"], Float[np.ndarray, "readout sample 2"], Geometry]:
    """K-space and trajectory (ky, kx) of Cartesian lines, oversampling removed, and the geometry with what is left.

    Raises BadScan where lines or samples lie beyond what the header tells, or the echo comes now earlier, now later.
    """
    imaging.check_same("center_sample", where)
    turned = imaging.turned()
    if turned.any():
        decisions.say(f"{int(turned.sum())} reversed readouts turned round")
    samples = kept.of(int(imaging.head[0]["number_of_samples"]))
    kspace = imaging.stacked()[..., samples]
    kspace[turned] = kspace[turned][..., ::-1]
    energy = energy_of_lines(imaging.counter("kspace_encode_step_1"), kspace)
    centre = _echo(imaging.head[0], samples, bool(turned[0]))
    geometry = _true_readout(kspace, imaging.head[0], kept, centre, geometry, where, decisions)
    kspace, kx, band = _along(kspace, centre, geometry, decisions)
    geometry = replace(geometry, band=band)
    inside_x = (kx >= -K_MAX - K_TOLERANCE) & (kx < K_MAX - K_TOLERANCE)
    if not inside_x.any():
        raise BadScan(
            where, "no sample of its readouts lies near the k-space centre its header tells", "export it again"
        )
    if not inside_x.all():
        count, n_encoded = int((~inside_x).sum()), geometry.encoded.matrix[1]
        if count > FEW_BEYOND * n_encoded and 2 * max(centre, len(inside_x) - centre) > n_encoded + count:
            told = f"its readouts have {len(inside_x)} samples, the echo at {centre}, and its header tells {n_encoded}"
            raise BadScan(where, told, "correct matrixSize and fieldOfView_mm of encodedSpace in its header")
        decisions.say(f"{count} samples of each readout lie beyond the resolution of the matrix: dropped")
        kspace, kx = kspace[..., inside_x], kx[inside_x]
    step, n_lines = imaging.counter("kspace_encode_step_1"), geometry.encoded.matrix[0]
    centre = central_line(energy, imaging.head["idx"]["user"][:, 5], n_lines, header.centre_line, decisions)
    geometry = _with_lines(step - centre, int(step.max()), geometry, header, where, decisions)
    ky = (step - centre) * (geometry.fov_mm[0] / geometry.matrix[0] / geometry.encoded.fov_mm[0])
    return kspace, np.stack(np.broadcast_arrays(ky[:, None], kx[None]), -1), geometry


def _with_lines(
    place: Integer[np.ndarray, " readout"],
    last: int,
    geometry: Geometry,
    header: Header,
    where: str,
    decisions: Decisions,
) -> Geometry:
    """The geometry with as many lines as were measured, `place` from the centre, where the header's limits tell them.

    Raises BadScan where nothing but the line numbers tells of lines beyond the encoded matrix.
    """
    pixel = geometry.fov_mm[0] / geometry.matrix[0] / geometry.encoded.fov_mm[0]
    if np.abs(place).max() * pixel <= K_MAX + K_TOLERANCE:
        return geometry
    needed = int(max(-2 * place.min(), 2 * place.max() + 1))
    told, n = header.last_line, geometry.encoded.matrix[0]
    cut = geometry.encoded.fov_mm[0] < (1 - SAME_LENGTH) * geometry.recon.fov_mm[0]  # with the lines not measured
    if told is None or told < (max(last, n) if cut else last) or needed > MOST_BEYOND * n:
        lines_told = f"lines {last - int(np.ptp(place))} to {last} about {last - int(place.max())}"
        fix = "correct matrixSize and encodingLimits in its header"
        raise BadScan(where, f"its {lines_told} are more than its encoded matrix holds, {n}", fix)
    decisions.say(
        f"its header has limits of lines up to {told} beyond its encoded matrix of {n}: {needed} pixels in y hold them",
        lines_beyond_matrix=True,
    )
    encoded = replace(geometry.encoded, matrix=(needed, geometry.encoded.matrix[1]))
    return replace(geometry, encoded=encoded, matrix=(max(needed, geometry.matrix[0]), geometry.matrix[1]))


def _echo(first: np.void, samples: slice, turned: bool) -> int:
    """Which of the samples kept, once turned, is the k-space centre: as told, or the middle of those not discarded."""
    n = int(first["number_of_samples"])
    before, shift = samples.start, int(first["discard_pre"]) - int(first["discard_post"])
    if turned:
        before, shift = n - samples.stop, -shift
    return (int(first["center_sample"]) or (n + shift) // 2) - before


def _true_readout(
    kspace: np.ndarray, first: np.void, kept: Kept, centre: int, geometry: Geometry, where: str, decisions: Decisions
) -> Geometry:
    """The geometry with the field of view that readouts were really sampled for along x.

    Headers may tell the matrix without oversampling, or oversampled on the field of view of the image. Raises BadScan
    for readouts longer than the header tells, unless they are a multiple with the echo in their middle, or just reach
    the resolution of the image.
    """
    encoded, recon = geometry.encoded, geometry.recon
    n = int(first["number_of_samples"]) - sum(kept.discarded)
    middle = centre + kept.disturbed[0] == n // 2
    (_, n_encoded), fov = encoded.matrix, encoded.fov_mm[1]
    if n > n_encoded:
        factor, rest = divmod(n, n_encoded)
        longer = _alike(fov / n, recon.pixel_mm[1])  # the header's field of view, and finer pixels
        told_wide = fov > WIDER * recon.fov_mm[1]  # the field of view tells the oversampling, the matrix does not
        if longer and (rest or not middle or told_wide or fills(kspace, factor)):
            return geometry
        if rest or not middle:
            told = f"its readouts have {n} samples, the echo at {centre}, and its header tells {n_encoded}"
            raise BadScan(where, told, "correct matrixSize and fieldOfView_mm of encodedSpace in its header")
    else:
        factor, rest = divmod(n_encoded, recon.matrix[1])
        of_image = _alike(fov, recon.fov_mm[1]) and factor > 1 and not rest
        in_y = _alike(encoded.pixel_mm[0] / recon.pixel_mm[0], encoded.pixel_mm[1] / recon.pixel_mm[1])
        before = n_encoded // 2 - centre  # of an asymmetric echo, samples that are missing
        after = n_encoded - before - kspace.shape[-1]
        if not of_image or in_y or min(before, after) < 0 or n_encoded > MOST_MISSING * n:
            return geometry
        if fills(np.pad(kspace, [(0, 0), (0, 0), (before, after)]) if n < n_encoded else kspace, factor):
            return geometry
    decisions.say(
        f"readouts are {factor} times oversampled, which the field of view of the header does not tell:"
        f" taken as {factor * fov:g} mm along x",
        undeclared_oversampling=factor,
    )
    whole = replace(encoded, matrix=(encoded.matrix[0], max(n, n_encoded)), fov_mm=(encoded.fov_mm[0], factor * fov))
    return replace(geometry, encoded=whole)


def _alike(one: float, other: float) -> bool:
    return abs(one / other - 1) <= SAME_LENGTH


def _along(
    kspace: np.ndarray, centre: int, geometry: Geometry, decisions: Decisions
) -> tuple[np.ndarray, np.ndarray, float]:
    """K-space and the kx of its samples, in cycles per pixel, without oversampling, and the share that is left."""
    n_samples = kspace.shape[-1]
    n_encoded = max(geometry.encoded.matrix[1], n_samples)
    if centre != n_samples // 2 or n_samples < n_encoded:
        decisions.say(f"asymmetric echo: k-space centre at sample {centre} of {n_samples}")
    pixel, fov = geometry.fov_mm[1] / geometry.matrix[1], geometry.encoded.fov_mm[1]
    n_cropped, before = round(n_encoded * geometry.fov_mm[1] / fov), n_encoded // 2 - centre
    if not (0 < n_cropped < n_encoded <= MOST_MISSING * n_samples and 0 <= before <= n_encoded - n_samples):
        return kspace, (np.arange(n_samples) - centre) * pixel / fov, 1.0
    decisions.say(f"readout oversampling removed: {n_encoded} to {n_cropped} samples")
    kspace, of_grid = crop_readout(kspace, before, n_encoded, n_cropped)
    return kspace, (of_grid - n_cropped // 2) * pixel / (fov * n_cropped / n_encoded), n_cropped / n_encoded
