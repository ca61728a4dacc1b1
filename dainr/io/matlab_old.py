"""MATLAB's files before version 7.3, read by scipy in a process of its own: damaged ones bring its reader down."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from dainr.errors import BadScan

READ = """
import json, sys
import numpy as np
import scipy.io

path, folder = sys.argv[1:]
names = [name for name, _, kind in scipy.io.whosmat(path) if kind in ("double", "single")]
arrays = scipy.io.loadmat(path, variable_names=names)
names = [name for name in names if isinstance(arrays.get(name), np.ndarray) and arrays[name].dtype.kind in "fc"]
for number, name in enumerate(names):
    np.save(f"{folder}/{number}.npy", arrays[name])
with open(f"{folder}/names.json", "w") as file:
    json.dump(names, file)
"""


def read_old(path: Path) -> dict[str, np.ndarray]:
    """The floating-point variables by name, axes as in MATLAB. Raises BadScan when the file is damaged."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path.resolve()), folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            why = said[-1] if said and done.returncode > 0 else f"its reader ended with signal {-done.returncode}"
            raise BadScan(str(path), f"the file is truncated or damaged ({why})", "copy or export it again")
        names = json.loads((Path(folder) / "names.json").read_text())
        return {name: np.load(Path(folder) / f"{number}.npy") for number, name in enumerate(names)}
