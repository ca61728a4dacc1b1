"""Runs the commands of docs/tutorial.md, and writes what they print below them: python docs/consoles.py.

Those of its console blocks run one after another in one empty folder. The report of the run is kept beside the page.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parent / "tutorial.md"
REPORT = Path(__file__).parent / "tutorial" / "report.html"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)


def main() -> None:
    """Run every block; a command that fails ends it, and leaves the page as it was."""
    with tempfile.TemporaryDirectory() as folder:
        page = BLOCK.sub(lambda block: rerun(block[1], folder), PAGE.read_text(encoding="utf-8"))
        REPORT.parent.mkdir(exist_ok=True)
        shutil.copy(Path(folder) / "run" / "report.html", REPORT)
    PAGE.write_text(page, encoding="utf-8")


def rerun(block: str, folder: str) -> str:
    """A console block with what its commands print now."""
    lines = (f"$ {command}\n{printed(command, folder)}" for command in COMMAND.findall(block))
    return "```console\n" + "".join(lines) + "```"


def printed(command: str, folder: str) -> str:
    """What a command prints, to stdout and stderr, with the `dainr` of this Python."""
    print(command, file=sys.stderr)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stdout}")
    if "site-packages" in done.stdout:
        raise SystemExit(f"{command}: a library complains, which is not for readers\n{done.stdout}")
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


if __name__ == "__main__":
    main()
