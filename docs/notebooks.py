"""Turns examples/*.py into notebooks with what they print and draw: python docs/notebooks.py [build/notebooks].

The scripts are in the percent format: a comment `# %%` begins a cell. Their cells run here, one after another, in an
empty folder.
"""

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # before an example imports pyplot

import contextlib
import io
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from matplotlib import pyplot
from nbformat.v4 import new_output
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


def main(target: Path) -> None:
    """Write a notebook for every example."""
    target.mkdir(parents=True, exist_ok=True)
    for example in sorted(EXAMPLES.glob("*.py")):
        print(example.name, file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            notebook = executed(jupytext.read(example))
        nbformat.write(notebook, target / f"{example.stem}.ipynb")


def executed(notebook: Any) -> Any:
    """A notebook whose code cells hold what they printed, drew and filmed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    number = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        number += 1
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(cell.source, "example", "exec"), names)
        text = [new_output("stream", text=printed.getvalue())] if printed.getvalue() else []
        cell.outputs, cell.execution_count = [*text, *pictures()], number
    return notebook


def pictures() -> list[Any]:
    """The figures that are open, which are closed, and the films in the folder, which are taken away."""
    found = []
    for number in pyplot.get_fignums():
        drawn = io.BytesIO()
        pyplot.figure(number).savefig(drawn, format="png", dpi=80)
        pyplot.close(number)
        found.append(("image/png", drawn.getvalue()))
    for film in sorted(Path().glob("*.gif")):
        smaller = io.BytesIO()
        with Image.open(film) as frames:
            frames.save(smaller, format="webp", save_all=True, quality=60)
        found.append(("image/webp", smaller.getvalue()))
        film.unlink()
    return [new_output("display_data", data={kind: b64encode(content).decode()}) for kind, content in found]


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/notebooks").resolve())
