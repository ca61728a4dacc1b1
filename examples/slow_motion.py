# %% [markdown]
# # Slow motion
#
# Four times the frames and twice the pixels, from the field and not by interpolating images. That makes a smoother
# film; it holds no new measurement.

# %%
from pathlib import Path

import dainr
from dainr.export import export
from dainr.simulate import SimulationConfig, simulate_phantom

# %% [markdown]
# With a scan of yours: `scan = dainr.load("scan.h5")`. The budget is the time for the steps of each slice.

# %%
scan = simulate_phantom(SimulationConfig(matrix=64, frames=12, coils=4))
recon = dainr.reconstruct(scan, preset="fast", budget="3s")

# %%
n_frames, ny, nx = recon.cine.data.shape[1:]
slow = recon.render(n_frames=4 * n_frames, matrix=(2 * ny, 2 * nx))
export(slow, Path("slow.gif"))
print(f"{n_frames} frames fitted, {len(slow.times)} written")
