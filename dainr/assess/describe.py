"""A scan in plain words: what is in the file, and what a fit would do with it."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float

from dainr.scan import K_MAX, LOW_REACH, Scan, usable_noise


def describe(scan: Scan) -> dict[str, Any]:
    """The facts of a scan, ready for JSON."""
    ny, nx = scan.matrix
    facts: dict[str, Any] = {
        "name": scan.name,
        "sampling": _sampling(scan),
        "matrix": [ny, nx],
        "fov_mm": [round(f, 3) for f in scan.fov_mm],
        "pixel_mm": [round(scan.fov_mm[0] / ny, 3), round(scan.fov_mm[1] / nx, 3)],
        "slice_thickness_mm": scan.slice_thickness_mm,
        "slices": scan.n_slices,
        "coils": scan.n_coils,
        "readouts": scan.n_readouts,
        "samples_per_readout": scan.n_samples,
        "frames": scan.n_frames or None,
        "readouts_per_frame": None,
        "acceleration": None,
        "k_reach": round(scan.reach, 4),
        "duration_s": round(float(np.ptp(scan.times)), 4),
        "noise_measurement": scan.noise is not None and usable_noise(scan.noise),
        "coil_maps": scan.coil_maps is not None,
        "calibration_readouts": 0
        if scan.calibration is None
        else scan.calibration.shape[0] * scan.calibration.shape[2],
        "density": scan.density is not None,
        "cardiac_phases": scan.phase is not None,
        "reference": scan.reference is not None,
        "oriented": scan.affine is not None or scan.planes is not None,
        "assumed": list(scan.assumed),
        **scan.decided,
        "notes": list(scan.notes),
    }
    if scan.n_frames:
        counts = scan.readouts_per_frame
        facts["readouts_per_frame"] = [int(counts.min()), int(counts.max())]
        facts["frames_of_all_slices"] = int((counts > 0).all(0).sum())
        facts["slices_with_fewer_frames"] = np.flatnonzero((counts == 0).any(1)).tolist()
        facts["acceleration"] = round(full_sampling(scan) / float(counts.mean()), 1)
    return facts


def full_sampling(scan: Scan) -> float:
    """Readouts a frame needs by Nyquist: every line, every point, pi/2 spokes for each pixel across, or as many spirals
    as leave no gap between their turns.
    """
    if scan.is_cartesian and scan.n_samples == 1:
        return float(scan.matrix[0] * scan.matrix[1])
    if _sampling(scan) == "spiral":
        return _full_spirals(scan.trajectory[0, 0].astype(np.float64), max(scan.matrix))
    return float(scan.matrix[0]) if scan.is_cartesian else math.pi / 2 * max(scan.matrix)


def _sampling(scan: Scan) -> str:
    if scan.is_cartesian:
        return "Cartesian"
    if is_radial(scan):
        return "radial"
    from dainr.prepare.density import is_spiral  # here, for it brings torch, which most need not wait for

    return "spiral" if is_spiral(scan.trajectory[0]) else "non-Cartesian"


def _full_spirals(k: Float[np.ndarray, "sample 2"], n: int) -> float:
    """How many spirals like this one are one sample of the field of view apart, on the average over their turns."""
    radius = np.hypot(k[:, 0], k[:, 1])
    way = k[radius > 0]
    turns = np.abs(np.diff(np.unwrap(np.arctan2(way[:, 0], way[:, 1])))).sum() / (2 * np.pi)
    return max(1.0, n * float(radius.max()) / max(float(turns), 1e-3))


def is_radial(scan: Scan) -> bool:
    """Whether every readout is a straight line through the k-space centre."""
    k = scan.trajectory[0]
    passes = np.hypot(k[..., 0], k[..., 1]).min(1) < 2.0 / scan.n_samples
    from_start, along = k - k[:, :1], k[:, -1:] - k[:, :1]
    cross = from_start[..., 0] * along[..., 1] - from_start[..., 1] * along[..., 0]
    return bool(passes.all() and np.abs(cross).max() < 1e-3)


def low_reach(reach: float) -> str:
    """What samples near the k-space centre alone mean."""
    return (
        f"Its samples reach only {reach:.2g} of {K_MAX} cycles per pixel: the pixels are far finer than what was"
        " measured, unless the trajectory is in other units."
    )


def in_words(scan: Scan) -> tuple[list[str], list[str]]:
    """What is in the scan, and what a fit would do with it: sentences."""
    f = describe(scan)
    readout = {"Cartesian": "lines", "radial": "spokes", "spiral": "spirals"}.get(f["sampling"], "readouts")
    each = f" of {f['samples_per_readout']} samples"
    if f["samples_per_readout"] == 1:
        readout, each = "points", ""
    content = [
        f"{f['sampling']} scan, {f['slices']} slice{'s' * (f['slices'] > 1)}, {f['coils']} coils,"
        f" {f['readouts']} {readout}{each}{' each slice' * (f['slices'] > 1)}.",
        f"Image {f['matrix'][0]} x {f['matrix'][1]} (y, x), pixels {f['pixel_mm'][0]:g} x {f['pixel_mm'][1]:g} mm,"
        f" slice {f['slice_thickness_mm']:g} mm{'' if f['oriented'] else ', no orientation stored'}.",
        f"It lasts {f['duration_s']:g} s.",
    ]
    if f["frames"]:
        low, high = int(scan.readouts_per_frame[scan.readouts_per_frame > 0].min()), f["readouts_per_frame"][1]
        content.append(
            f"{f['frames']} frames of {low if low == high else f'{low} to {high}'} {readout}:"
            + (f" {f['acceleration']:g} times fewer than" if f["acceleration"] > 1 else " no fewer than")
            + " full sampling."
        )
        if f["slices_with_fewer_frames"]:
            fewer = ", ".join(map(str, f["slices_with_fewer_frames"]))
            content.append(
                f"Slices with fewer frames than others: {fewer}. A fit uses the frames that all slices have, if these"
                " are at least half, or choose --slices."
            )
    else:
        content.append("Its readouts are not binned into frames.")
    if scan.reach < LOW_REACH:
        content.append(low_reach(scan.reach))
    content.append(
        ("A noise measurement" if f["noise_measurement"] else "No noise measurement")
        + (", coil maps" if f["coil_maps"] else ", no coil maps")
        + (", density weights" if f["density"] else "")
        + (", a reference to score against." if f["reference"] else ".")
    )
    return content + [note[0].upper() + note[1:] + "." for note in f["notes"]], _plan(scan, f)


def _suggested(scan: Scan) -> int:
    """How many readouts a frame may have: a twentieth of full sampling, and of lines as many as come before one comes
    again, for a frame of fewer would be a band of k-space.
    """
    if not scan.is_cartesian or scan.n_samples == 1:
        return max(1, round(full_sampling(scan) / 20))
    in_time = scan.trajectory[0][np.argsort(scan.times[0], kind="stable")]
    lines = np.rint(in_time[:, 0] * np.array(scan.matrix)).astype(int)
    _, first = np.unique(lines, axis=0, return_index=True)
    again = np.setdiff1d(np.arange(len(lines)), first)
    return int(again[0]) if len(again) else len(lines)


def _plan(scan: Scan, f: dict[str, Any]) -> list[str]:
    if not f["frames"]:
        suggestion = min(_suggested(scan), scan.n_readouts)
        n_frames = scan.n_readouts // suggestion
        return [
            "A fit needs frames: choose --spokes-per-frame N"
            f" (such as {suggestion}, for {n_frames} frame{'s' * (n_frames > 1)})"
            + (" or --frames-per-cycle N." if f["cardiac_phases"] else ".")
        ]
    calibrating = f["calibration_readouts"]
    measured = f"the {calibrating} calibration readouts" if calibrating else "the time average"
    plan = [
        "Whiten the coils "
        + (
            "by the noise measurement."
            if f["noise_measurement"]
            else "by the k-space edge, or what else holds no signal."
        ),
        "Use the coil maps of the file."
        if f["coil_maps"]
        else f"Estimate coil maps from {measured} ({'smooth maps' if scan.is_cartesian else 'ESPIRiT'}).",
        "Transform without a NUFFT: all samples lie on the grid."
        if scan.is_cartesian
        else "Transform by the fastest NUFFT on this machine.",
        f"Fit {f['frames_of_all_slices']} frames of {f['matrix'][0]} x {f['matrix'][1]}"
        + (f", {f['slices']} slices in turn." if f["slices"] > 1 else "."),
    ]
    if f["frames"] == 1:
        plan.append("There is a single frame: the result will be a still image.")
    return plan
