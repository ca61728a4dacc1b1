"""Four times the frames and twice the pixels, from the field and not by interpolating images.

python examples/slow_motion.py scan.h5 cine.gif
"""

import sys
from pathlib import Path

import dainr
from dainr.export import export

recon = dainr.reconstruct(dainr.load(sys.argv[1]), budget="20s")
n_frames, ny, nx = recon.cine.data.shape[1:]
slow = recon.render(n_frames=4 * n_frames, matrix=(2 * ny, 2 * nx))
export(slow, Path(sys.argv[2]))
print(f"{n_frames} frames fitted, {len(slow.times)} written")
