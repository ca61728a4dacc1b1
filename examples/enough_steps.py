"""How the error on readouts that the fit never saw falls with its steps: where it is flat, more time buys nothing.

python examples/enough_steps.py scan.h5
"""

import sys

import dainr

recon = dainr.reconstruct(dainr.load(sys.argv[1]), iterations=60)
for validation in recon.histories[0].validations:
    print(f"step {validation.step:4d}  {validation.seconds:6.1f} s  held-out error {validation.heldout:.4f}")
