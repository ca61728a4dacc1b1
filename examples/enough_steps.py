# %% [markdown]
# # How many steps are enough
#
# The error on readouts that the fit never saw, against its steps. Where it is flat, more time buys nothing.
# `dainr tune` does this with care, over budgets and scans.

# %%
import matplotlib.pyplot as plt

import dainr
from dainr.simulate import SimulationConfig, simulate_phantom

# %% [markdown]
# With a scan of yours: `scan = dainr.load("scan.h5")`.

# %%
scan = simulate_phantom(SimulationConfig(matrix=64, frames=12, coils=4))
recon = dainr.reconstruct(scan, preset="fast", iterations=40)

# %%
validations = recon.histories[0].validations
for validation in validations:
    print(f"step {validation.step:3d}  {validation.seconds:5.1f} s  held-out error {validation.heldout:.4f}")

# %%
figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
axis.plot([v.step for v in validations], [v.heldout for v in validations], "o-")
axis.set(xlabel="step", ylabel="held-out error")
figure.savefig("enough_steps.png")
