"""Pictures to look at: mp4 and gif that play, a contact sheet in png. Windowed by one range for the whole series."""

import errno
import math
import os
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from dainr.cine import Cine
from dainr.io.hdf5 import write_whole
from dainr.machine import disk

WINDOW_PERCENTILE = 99.7
SHORT_SIDE = 256  # pixels: small images are enlarged to be seen
FRAMES_PER_SECOND = (8.0, 30.0)
USUAL_RATE = 20.0


def windowed(magnitude: np.ndarray, top: float | None = None) -> UInt8[np.ndarray, "..."]:
    """Grey values 0 to 255 with a high percentile, or `top`, as white."""
    white = top if top is not None else float(np.percentile(magnitude, WINDOW_PERCENTILE))
    return (255 * np.clip(magnitude / max(white, 1e-30), 0, 1)).round().astype(np.uint8)


def frame_rate(cine: Cine) -> float:
    """Frames per second of playback: real time, within what an eye can follow."""
    rate = 1 / cine.frame_spacing if cine.frame_spacing > 0 else USUAL_RATE
    slowest, fastest = FRAMES_PER_SECOND
    return USUAL_RATE if rate < slowest / 2 else min(max(rate, slowest), fastest)


def write_movie(cine: Cine, path: Path) -> None:
    """Write .mp4 (H.264) or .gif, slices side by side; the file appears only once it is complete."""
    import imageio.v2 as imageio  # here, for it takes a while and most need only how a series is windowed

    frames = _pictures(cine)
    rate = frame_rate(cine)
    with write_whole(path) as temporary:
        if path.suffix == ".gif":
            playing = {"duration": 1000 / rate, "loop": 0, "optimize": False}
            film = imageio.mimwrite("<bytes>", list(frames), format="GIF", **playing)  # on a full disk it would go on
            temporary.write_bytes(film)
        else:
            even = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
            settings = {"codec": "libx264", "pixelformat": "yuv420p", "macro_block_size": 1, "quality": 9}
            settings |= {"ffmpeg_log_level": "quiet"}
            imageio.mimwrite(temporary, list(even), format="FFMPEG", fps=rate, **settings)
            if disk.is_nearly_full(path.parent):  # ffmpeg ends without an error, and half a film is left
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_sheet(cine: Cine, path: Path) -> None:
    """Write a .png with all frames in rows; of a stack, one block a slice."""
    import imageio.v2 as imageio  # here, as above

    blocks = []
    for slice_frames in windowed(np.abs(cine.data)):
        n_frames, ny, nx = slice_frames.shape
        columns = min(math.ceil(math.sqrt(n_frames * ny / nx * 1.6)), n_frames)
        rows = math.ceil(n_frames / columns)
        sheet = np.zeros((rows * columns, ny, nx), np.uint8)
        sheet[:n_frames] = slice_frames
        blocks.append(sheet.reshape(rows, columns, ny, nx).swapaxes(1, 2).reshape(rows * ny, columns * nx))
    with write_whole(path) as temporary:
        imageio.imwrite(temporary, np.concatenate(blocks), format="PNG")


def _pictures(cine: Cine) -> UInt8[np.ndarray, "frame y x"]:
    """Slices in a row, enlarged smoothly where they are small."""
    from scipy.ndimage import zoom  # here, as above

    strip: Float[np.ndarray, "frame y x"] = np.concatenate(list(np.abs(cine.data)), axis=-1)
    factor = max(1, math.ceil(SHORT_SIDE / min(cine.data.shape[-2:])))
    if factor > 1:
        strip = np.stack([zoom(frame, factor, order=3, mode="nearest", grid_mode=True) for frame in strip])
    return windowed(np.maximum(strip, 0))
