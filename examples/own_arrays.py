# %% [markdown]
# # Your own arrays
#
# From k-space and trajectory in numpy to a scan, a file, and two methods to compare.

# %%
from pathlib import Path

import numpy as np

import dainr
from dainr.assess.scores import evaluate
from dainr.io.scans import native
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

# %% [markdown]
# These arrays come from a simulation; yours come from wherever you have them.
#
# - k-space: complex64, `slice, coil, readout, sample`
# - trajectory: float32, `slice, readout, sample, 2` as (ky, kx), in cycles per pixel, from -0.5 to 0.5
# - times: float64, `slice, readout`, in seconds

# %%
simulated = simulate_phantom(SimulationConfig(matrix=64, frames=12, coils=4))
kspace, trajectory, times = simulated.kspace, simulated.trajectory, simulated.times
print(kspace.shape, trajectory.shape, times.shape)

# %% [markdown]
# A `Scan` checks that they fit together, and says what is wrong if they do not. `native.write` keeps it in a file for
# `dainr fit`.

# %%
scan = Scan(
    kspace,
    trajectory,
    times,
    matrix=simulated.matrix,  # y, x
    fov_mm=(320.0, 320.0),
    slice_thickness_mm=8.0,
    noise=simulated.noise,
)
native.write(scan, Path("own.h5"))

# %% [markdown]
# These readouts are not binned into frames, so `spokes_per_frame` does that.

# %%
for method in ("gridding", "grasp"):
    recon = dainr.reconstruct(scan, method, spokes_per_frame=13)
    scores = evaluate(recon.cine.data, np.abs(simulated.reference))
    print(f"{method}: PSNR {scores.whole.psnr:.1f} dB, {scores.dynamic.psnr:.1f} where it moves")
