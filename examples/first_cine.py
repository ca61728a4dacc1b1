# %% [markdown]
# # A first cine
#
# A scan goes in; a film and an array of images come out.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import dainr
from dainr.cli.progress import Progress
from dainr.export import export
from dainr.simulate import SimulationConfig, simulate_phantom

# %% [markdown]
# The scan is a simulated one, so that this runs anywhere. For one of yours, write `scan = dainr.load("scan.h5")`.

# %%
scan = simulate_phantom(SimulationConfig(matrix=64, frames=12, coils=4))
print(f"{scan.n_readouts} readouts of {scan.n_samples} samples, {scan.n_coils} coils, {scan.n_frames} frames")

# %% [markdown]
# `preset="fast"` takes about half the time of the default. `Progress` is the bar of `dainr fit`.

# %%
recon = dainr.reconstruct(scan, preset="fast", observers=[Progress()])
print("complex images, slice frame y x:", recon.cine.data.shape)

# %% [markdown]
# The suffix names the format: `.mp4`, `.gif`, `.nii.gz`, `.npy` and others.

# %%
export(recon.cine, Path("cine.mp4"))

# %% [markdown]
# The first frame, gridded and fitted.

# %%
figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
axes[0].imshow(recon.gridded[0, 0], cmap="gray")
axes[0].set(title="gridded", xticks=[], yticks=[])
axes[1].imshow(np.abs(recon.cine.data[0, 0]), cmap="gray")
axes[1].set(title="fitted", xticks=[], yticks=[])
figure.savefig("first_cine.png")
