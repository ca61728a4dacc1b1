"""Puts the pages of the site together: python docs/pages.py [build/pages], after docs/notebooks.py.

The home page is README; the changelog, the page on the weights and the notebooks of the examples join the pages of this
folder. Links are those of the repository, so that the pages can be read there as well, and become links of the site.
Equations become MathML, which browsers show without help.
"""

import json
import os
import posixpath
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
NOTEBOOKS = Path("build/notebooks")
OUTSIDE = {  # file of the repository that does not lie in docs/ -> page of the site
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "CITATION.cff",
    "pretrained/README.md": "weights.md",
    "examples": "examples/first_cine.md",
}
LINK = re.compile(r"(?<=\]\()([^)#:\s]+)(?=(?:#[^)]*)?\))")
EQUATION = re.compile(r"^```math\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main(target: Path) -> None:
    """Write every page anew."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    sources = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")]
    for source in [*sources, *OUTSIDE]:
        if (ROOT / source).is_file():
            text = (ROOT / source).read_text(encoding="utf-8")
            (target / page_of(source)).write_text(on_the_site(text, source), encoding="utf-8")
    (target / "examples").mkdir()
    for notebook in sorted((ROOT / NOTEBOOKS).glob("*.ipynb")):
        shutil.copy(notebook, target / "examples")
        page = as_markdown(json.loads(notebook.read_text(encoding="utf-8")), notebook.stem)
        (target / "examples" / f"{notebook.stem}.md").write_text(page, encoding="utf-8")


def page_of(source: str) -> str:
    """The page of the site made from a file of the repository, or the file itself where it is none."""
    if source in OUTSIDE:
        return OUTSIDE[source]
    return re.sub(r"\.py$", ".md", source.removeprefix("docs/"))


def on_the_site(text: str, source: str) -> str:
    """The text of a file of the repository with links of the site, and with equations that browsers show."""
    folder, of_page = posixpath.dirname(source), posixpath.dirname(page_of(source))

    def link(found: re.Match[str]) -> str:
        return os.path.relpath(page_of(posixpath.normpath(posixpath.join(folder, found[0]))), of_page or ".")

    return EQUATION.sub(lambda found: as_mathml(found[1]), LINK.sub(link, text))


def as_mathml(latex: str) -> str:
    """A displayed equation."""
    return f'<div class="equation">{convert(" ".join(latex.split()), display="block")}</div>'


def as_markdown(notebook: dict[str, Any], name: str) -> str:
    """A notebook as a page: text, code, and what the code printed and drew."""
    where = f"As a [notebook]({name}.ipynb), or as the script `examples/{name}.py`."
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [shown(output) for output in cell.get("outputs", [])]
    return "\n\n".join([parts[0], where, *parts[1:]]) + "\n"


def shown(output: dict[str, Any]) -> str:
    """One output of a cell."""
    if output["output_type"] == "stream":
        return "```text\n" + "".join(output["text"]) + "```"
    kind, content = next(iter(output["data"].items()))
    return f'<img alt="what the cell above draws" src="data:{kind};base64,{"".join(content).strip()}">'


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/pages"))
