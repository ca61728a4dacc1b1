# %% [markdown]
# # How it moves
#
# The motion that a fit holds, as arrays: a displacement for every pixel and frame, the strain of a wall, and a file
# that ITK reads.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import dainr
from dainr.export import export_motion
from dainr.motion.strain import wall_strain
from dainr.simulate import SimulationConfig, simulate_phantom

# %% [markdown]
# The scan is a simulated one, whose muscle has texture. For one of yours, write `scan = dainr.load("scan.h5")`.

# %%
scan = simulate_phantom(SimulationConfig(phantom="textured", matrix=64, frames=12, coils=4))
recon = dainr.reconstruct(scan, preset="fast")

# %% [markdown]
# From the first frame to all others, at the points of the first (Lagrangian): `slice frame 2 y x`, (x, y) in mm.

# %%
motion = recon.displacement(reference=float(recon.cine.times[0]))
print(motion.mm.shape, f"at most {np.abs(motion.mm).max():.1f} mm, folded in {motion.folded.sum()} pixels")

# %% [markdown]
# As a NIfTI displacement field: five dimensions, vectors in mm, LPS, which is what ITK takes them for.

# %%
export_motion(motion, Path("motion.nii.gz"))

# %% [markdown]
# The strain of a ring of muscle about a place in pixels (y, x), radial and circumferential.

# %%
n = scan.matrix[0]
centre = np.array([0.52, 0.56]) * n
away = np.hypot(np.arange(n)[:, None] - centre[0], np.arange(n) - centre[1])
wall = (away > 0.075 * n) & (away < 0.118 * n)
means = wall_strain(motion.displacement[0], wall, motion.spacing_mm, (centre[0], centre[1])).means()

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
frame = motion.displacement.shape[1] // 3
every = slice(None, None, 2)
y, x = np.mgrid[0:n:2, 0:n:2]
axes[0].imshow(np.abs(recon.cine.data[0, 0]), cmap="gray")
axes[0].quiver(
    x, y, *motion.displacement[0, frame, :, every, every], angles="xy", scale_units="xy", scale=1, color="C1"
)
axes[0].set(title=f"from frame 0 to frame {frame}", xticks=[], yticks=[])
for name, curves in means.items():
    axes[1].plot(motion.times, 100 * curves[0], label=name)
axes[1].set(xlabel="time, s", ylabel="strain, %")
axes[1].legend(frameon=False)
figure.savefig("motion.png")
