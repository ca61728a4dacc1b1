"""Binning readouts into frames, and when each frame is."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Integer

from dainr.errors import BadRequest, BadScan
from dainr.machine import disk
from dainr.prepare.gating import find_beats
from dainr.prepare.self_gating import chest_at_rest, self_gated_phase
from dainr.scan import SET_ASIDE, Scan
from dainr.scan_checks import no_readout

CENTRE_SAMPLES = 2.5  # from the k-space centre to where a readout may be held out
ENOUGH_COMMON = 0.5  # of the frames must be in every slice, or the slices are no stack of one cine
FEW_SAMPLES = 32  # a readout with fewer does not span k-space, and its samples tell no distance


def bin_spokes(scan: Scan, spokes_per_frame: int, every: int | None = None) -> Scan:
    """Consecutive readouts in time, `spokes_per_frame` to a frame; an incomplete last frame is dropped and noted.

    A frame begins where the last one ended or, as a sliding window, `every` so many readouts: frames then share them.
    """
    n_readouts = int(scan.used.sum(1).min())
    if not 1 <= spokes_per_frame <= n_readouts:
        raise BadRequest(
            f"--spokes-per-frame {spokes_per_frame}",
            f"the scan has {n_readouts} readouts",
            f"choose 1 to {n_readouts}",
        )
    step = every or spokes_per_frame
    if every is not None and not 1 <= every <= spokes_per_frame:
        raise BadRequest(
            f"--every {every}", f"a frame has {spokes_per_frame} readouts", f"choose 1 to {spokes_per_frame}"
        )
    firsts = np.arange(0, n_readouts - spokes_per_frame + 1, step)
    window = (firsts[:, None] + np.arange(spokes_per_frame)).ravel()
    order = np.argsort(np.where(scan.used, scan.times, np.inf), axis=1, kind="stable")[:, window]
    note = f"{spokes_per_frame} readouts per frame in order of time"
    note += f", a frame every {step}" if step < spokes_per_frame else ""
    note += f", {n_readouts - 1 - window[-1]} left over"
    if step < spokes_per_frame and scan.copy_of is None:
        scan = scan.changed(copy_of=np.broadcast_to(np.arange(scan.n_readouts), scan.times.shape))
    frame = np.broadcast_to(np.repeat(np.arange(len(firsts)), spokes_per_frame), order.shape)
    return reorder(scan, order, frame, note).changed(cyclic=False)


def bin_phases(scan: Scan, frames_per_cycle: int, respiratory_bins: int = 1) -> Scan:
    """Readouts by their cardiac phase into evenly wide bins of the cycle, those of arrhythmic beats set aside.

    Where no phases are stored, spokes of a single slice tell them. Of several respiratory bins, which spokes tell too,
    only the one where the chest rests is kept. Every slice has its own heartbeats and breaths. Times become those
    within a heartbeat of median length, where it is known. Raises BadRequest without phases.
    """
    if not 1 <= frames_per_cycle <= scan.n_readouts:
        raise BadRequest(
            f"--frames-per-cycle {frames_per_cycle}",
            f"the scan has {scan.n_readouts} readouts",
            f"choose 1 to {scan.n_readouts}",
        )
    note = f"{frames_per_cycle} bins of the cardiac cycle"
    if scan.phase is None:
        if scan.n_slices > 1:  # each would begin its cycle somewhere else
            raise BadRequest("--frames-per-cycle", "the scan stores no cardiac phases", "choose one slice: --slices 0")
        seen = np.zeros(scan.times.shape, np.float32)
        seen[scan.used] = self_gated_phase(*_measurements(scan, 0))
        scan = scan.changed(phase=seen)
        note += " as the k-space centre shows it"
    phase, used, kept = scan.phase, scan.used, np.zeros(scan.times.shape, bool)
    assert phase is not None
    beats = [find_beats(t[u], p[u]) for t, p, u in zip(scan.times, phase, used, strict=True)]
    for index, one in enumerate(beats):
        kept[index, used[index]] = ~one.arrhythmic[one.of_readout]
        if respiratory_bins != 1:
            kept[index, used[index]] &= chest_at_rest(*_measurements(scan, index), respiratory_bins)
            scan.release()
    lengths = np.array([one.length for one in beats])
    if (lengths > 0).all():
        scan = scan.changed(times=lengths[:, None] * phase.astype(np.float64))
        shortest, longest = 1e3 * lengths.min(), 1e3 * lengths.max()
        note += f" of {shortest:.0f} ms" if scan.n_slices == 1 else f" of {shortest:.0f} to {longest:.0f} ms"
    irregular = sum(int(one.arrhythmic.sum()) for one in beats)
    if irregular:
        note += f", {irregular} of {sum(len(one.lengths) for one in beats)} heartbeats set aside for their length"
    if respiratory_bins != 1:
        note += f", {kept.sum()} of {used.sum()} readouts kept, where the chest rests"
    frame = np.minimum((phase * frames_per_cycle).astype(int), frames_per_cycle - 1)
    return _in_every_slice(_in_frame_order(scan, np.where(kept, frame, SET_ASIDE), note)).changed(cyclic=True)


def bin_given(scan: Scan, frame: Integer[np.ndarray, " readout"]) -> Scan:
    """Readouts binned as a list says, one frame number per readout in the order of the file."""
    if len(frame) != scan.n_readouts:
        raise BadRequest(
            "--frames", f"it lists {len(frame)} readouts, the scan has {scan.n_readouts}", "list each once"
        )
    return _in_every_slice(_in_frame_order(scan, np.where(scan.used, frame, SET_ASIDE), "frames given by the user"))


def read_frame_list(path: Path) -> Integer[np.ndarray, " readout"]:
    """Frame numbers from a text file, one a readout. Raises BadRequest when it is missing or holds anything else."""
    try:
        return np.array(path.read_text(encoding="utf-8").split(), np.int32)
    except (OSError, ValueError, OverflowError) as error:
        raise BadRequest(
            f"--frames {path}", "it is not a list of whole numbers", "write one frame number for each readout"
        ) from error


def frames_as_stored(scan: Scan) -> Scan:
    """The file's own binning, readouts in frame order: the frames that every slice has.

    Raises BadScan when the file has none, or a slice has fewer than half of them.
    """
    if scan.frame is None:
        raise BadScan(scan.name, "its readouts are not binned into frames", "choose --spokes-per-frame N")
    scan = _common_frames(scan)
    assert scan.frame is not None
    return _in_frame_order(scan, scan.frame, None)


def _common_frames(scan: Scan) -> Scan:
    """The scan with the frames that all of its slices have."""
    has = scan.readouts_per_frame > 0
    common: np.ndarray = np.all(has, axis=0)
    if common.all():
        return scan
    n_frames, shared, shortest = scan.n_frames, int(common.sum()), int(has.sum(1).argmin())
    if shared < ENOUGH_COMMON * n_frames:
        whole = ", ".join(str(index) for index in np.flatnonzero(has.all(1)))
        among = f" among {whole}" if whole else " that go together"
        raise BadScan(
            scan.name,
            f"its slices share {shared} of {n_frames} frames: slice {shortest} has {int(has[shortest].sum())}",
            f"choose --slices{among}, or --spokes-per-frame N",
        )
    note = f"{shared} of {n_frames} frames are used, those that every slice has (slice {shortest} has fewest)"
    return scan.frames_kept(common).changed(notes=(*scan.notes, note))


def _in_every_slice(scan: Scan) -> Scan:
    """The scan. Raises BadScan where a slice has no readout in a frame."""
    empty = np.argwhere(scan.readouts_per_frame == 0)
    if len(empty):
        raise no_readout(scan.name, int(empty[0, 1]), int(empty[0, 0]) if scan.n_slices > 1 else None, len(empty))
    return scan


def frame_times(
    times: Float[np.ndarray, " readout"], frame: Integer[np.ndarray, " readout"]
) -> tuple[Float[np.ndarray, " frame"], bool]:
    """When each frame is (s), and whether that is measured.

    The mean time of a frame's readouts where these increase from frame to frame. Frames gathered over many heartbeats
    have no such order: they are spread evenly over one second, which stands for the cycle.
    """
    n_frames = int(frame.max()) + 1
    mean = np.bincount(frame, weights=times, minlength=n_frames) / np.bincount(frame, minlength=n_frames)
    if n_frames == 1 or np.all(np.diff(mean) > 0):
        return mean - mean[0], True
    return np.arange(n_frames) / n_frames, False


def frame_numbers(
    times: Float[np.ndarray, " readout"], frame: Integer[np.ndarray, " readout"]
) -> Float[np.ndarray, " readout"] | None:
    """When each readout was measured, in frames: n where it is at the mean time of frame n, linear between frames.

    None where the readouts of a frame do not follow those of the frame before.
    """
    n_frames = int(frame.max()) + 1
    first, last = np.full(n_frames, np.inf), np.full(n_frames, -np.inf)
    np.minimum.at(first, frame, times)
    np.maximum.at(last, frame, times)
    if n_frames < 2 or (first[1:] < last[:-1]).any() or not (last > first).any():
        return None
    mean = np.bincount(frame, weights=times) / np.bincount(frame)
    before, after = 2 * mean[0] - mean[1], 2 * mean[-1] - mean[-2]
    return np.interp(times, [before, *mean, after], np.arange(-1, n_frames + 1))


def hold_out(
    trajectory: Float[np.ndarray, "readout sample 2"],
    frame: Integer[np.ndarray, " readout"],
    fraction: float,
    seed: int,
    copy_of: Integer[np.ndarray, " readout"] | None = None,
) -> Bool[np.ndarray, " readout"]:
    """Which readouts the fit must not see: about `fraction` of them, spread evenly over the frames.

    A frame keeps at least one readout. Of copies that frames share, `copy_of` alike, all are held out or none.
    Cartesian lines through the k-space centre, and points near it, are never held out: they alone carry their frame's
    contrast, whereas every spoke passes there.
    """
    held = np.zeros(len(frame), bool)
    nearest = np.hypot(trajectory[..., 0], trajectory[..., 1]).min(1)
    outer = nearest > CENTRE_SAMPLES / max(trajectory.shape[1], FEW_SAMPLES)
    candidate = outer if outer.any() else np.ones(len(frame), bool)
    copy_of = np.arange(len(frame)) if copy_of is None else copy_of
    n_frames, wanted = int(frame.max()) + 1, round(fraction * len(np.unique(copy_of)))
    if fraction > 0:
        wanted = max(wanted, 1)
    random = np.random.default_rng(seed)
    visits = (np.arange(wanted) * n_frames / max(wanted, 1) + random.uniform(0, n_frames)).astype(int) % n_frames
    for index in visits:
        mine = np.flatnonzero((frame == index) & ~held)
        choices = mine[candidate[mine]]
        if len(mine) > 1 and len(choices):
            copies = copy_of == copy_of[random.choice(choices)]
            if np.bincount(frame[~(held | copies)], minlength=n_frames).all():
                held |= copies
    return held


def _measurements(scan: Scan, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K-space, trajectory and times of the readouts of a slice that are used."""
    used = scan.used[index]
    return scan.kspace[index][:, used], scan.trajectory[index][used], scan.times[index][used]


def _in_frame_order(scan: Scan, frame: Integer[np.ndarray, "slice readout"], note: str | None) -> Scan:
    """The scan with the readouts of every slice in the order of their frames, and what no slice uses left out."""
    aside = frame == SET_ASIDE
    n_used = max(1, int((~aside).sum(1).max()))
    order = np.argsort(np.where(aside, np.iinfo(np.int32).max, frame), axis=1, kind="stable")[:, :n_used]
    return reorder(scan, order, np.take_along_axis(frame, order, 1), note)


def reorder(scan: Scan, order: np.ndarray, frame: np.ndarray, note: str | None = None) -> Scan:
    """The scan with the readouts of every slice in the given order `slice readout`, in these frames."""
    rows, density = np.arange(scan.n_slices)[:, None], scan.density
    ordered = scan.changed(
        kspace=disk.stack(scan.n_slices, lambda s: scan.kspace[s][:, order[s]]),
        trajectory=disk.stack(scan.n_slices, lambda s: scan.trajectory[s][order[s]]),
        times=scan.times[rows, order],
        phase=None if scan.phase is None else scan.phase[rows, order],
        copy_of=None if scan.copy_of is None else scan.copy_of[rows, order],
        density=None if density is None else disk.stack(scan.n_slices, lambda s: density[s][order[s]]),
        frame=frame.astype(np.int32),
        notes=scan.notes if note is None else (*scan.notes, note),
    )
    scan.release()
    return ordered
