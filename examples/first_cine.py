"""A scan file in, a film and the array of its images out.

python examples/first_cine.py scan.h5 cine.mp4
"""

import sys
from pathlib import Path

import dainr
from dainr.cli.progress import Progress
from dainr.export import export

scan = dainr.load(sys.argv[1])
recon = dainr.reconstruct(scan, preset="fast", observers=[Progress()])
export(recon.cine, Path(sys.argv[2]))
print("complex images, slice frame y x:", recon.cine.data.shape)
