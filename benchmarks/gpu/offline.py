"""Run the check on a machine with torch for CUDA and no package registry: from a checkout and a folder of wheels.

    python3 benchmarks/gpu/offline.py --wheels FOLDER --out gpu-check [options of python -m benchmarks.gpu]

The wheels (benchmarks/gpu/fetch.py fetches them) go into a temporary folder, and nothing is installed on the machine.
`cli` and `pretrained`, which an installed dainr has as packages, are linked into `dainr` of the checkout meanwhile.
Where the machine is lent for ten minutes at a time: `--budget 9m`, and `--begun` with the folder of the call before.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("cli", "pretrained")


def main() -> None:
    """Prepare, then run the check with the options that are left; its exit code is this one's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="folder of wheels; without it, all that dainr needs is there")
    asked, options = parser.parse_known_args()
    wheels = sorted(asked.wheels.glob("*.whl")) if asked.wheels is not None else []
    if asked.wheels is not None and not wheels:
        raise SystemExit(f"{asked.wheels}: there are no wheels in it; run python -m benchmarks.gpu.fetch first.")
    with tempfile.TemporaryDirectory() as site, linked():
        if wheels:
            unpack(wheels, Path(site))
        path = os.pathsep.join([site, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"PYTHONPATH": path, "OMP_WAIT_POLICY": "PASSIVE"}
        code = subprocess.call([sys.executable, "-m", "benchmarks.gpu", *options], env=environment)
    raise SystemExit(code)


def unpack(wheels: list[Path], site: Path) -> None:
    """Install wheels into a folder by pip, or where that fails as the archives that they are."""
    pip = ["-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--target"]
    command = [sys.executable, *pip, str(site), *map(str, wheels)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"pip cannot install the wheels, they are unpacked instead: {done.stderr.strip()}", file=sys.stderr)
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)


@contextmanager
def linked() -> Iterator[None]:
    """Link the folders into the package, but those that are there, and take the links away again."""
    links = [ROOT / "dainr" / name for name in LINKED if not (ROOT / "dainr" / name).exists()]
    for link in links:
        link.symlink_to(Path("..") / link.name)
    try:
        yield
    finally:
        for link in links:
            link.unlink()


if __name__ == "__main__":
    main()
