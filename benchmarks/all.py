"""Every benchmark, each script in a process of its own; what they print is kept in a folder.

    python -m benchmarks.all [--data FOLDER] [--device cpu] [-o bench]

quality.md, disturbed.md, trust.md, error_map.md and scaling.md stand for all scans, step_, heldout_ and continuity_ for
one each. Without --data the scans are phantoms; step, heldout and continuity then take the radial one of 13 spokes.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import say
from benchmarks.scans import Subject, find_subjects, simulate_subjects

PHANTOM = "radial13"


def main() -> None:
    """Run them one after the other. A script that fails leaves the others standing; the exit code is then 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of scans with references; without it, phantoms")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, default=Path("bench"))
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if asked.data is None:
            subjects = [s for s in simulate_subjects(work) if s.name == PHANTOM]
        else:
            subjects = find_subjects(asked.data, {}, work)
        data = [] if asked.data is None else ["--data", str(asked.data)]
        device = ["--device", asked.device]
        scripts = [
            ("quality", "quality.md", [*data, *device]),
            ("disturbed", "disturbed.md", device),
            ("trust", "trust.md", [*data, *device]),
            ("error_map", "error_map.md", [*data, *device]),
            ("scaling", "scaling.md", device),
        ]
        for subject in subjects:
            scripts += of_one_scan(subject, device)
        failed = [name for script, name, options in scripts if not run(script, asked.output / name, options)]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def of_one_scan(subject: Subject, device: list[str]) -> list[tuple[str, str, list[str]]]:
    """The scripts that take one scan: name, file to write, arguments."""
    scan, setting = str(subject.scan), ["--set", f"device={device[1]}"]
    both = [scan, str(subject.reference)]
    return [
        ("step", f"step_{subject.name}.txt", [scan, *setting]),
        ("heldout", f"heldout_{subject.name}.txt", [*both, *setting]),
        ("continuity", f"continuity_{subject.name}.md", [*both, *device]),
    ]


def run(script: str, output: Path, options: list[str]) -> bool:
    """Run a script, with what it prints shown as it comes and kept in a file; whether it ended well."""
    say(f"{output}:")
    command = [sys.executable, "-u", "-m", f"benchmarks.{script}", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, output.open("w") as file:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
            file.flush()
    return process.returncode == 0


if __name__ == "__main__":
    main()
