"""A module imports only from its own stage of the data's path or from earlier ones; only the command line prints."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The order of the data's path. Modules of one line may import each other; a package stands for all its modules.
ORDER = [
    ["dainr.errors"],
    ["dainr.kernels"],
    ["dainr", "dainr.machine"],
    ["dainr.settings"],
    ["dainr.operators"],
    ["dainr.cine"],
    ["dainr.motion"],
    ["dainr.scan_checks", "dainr.scan"],
    ["dainr.losses"],
    ["dainr.simulate"],
    ["dainr.io"],
    ["dainr.fit"],
    ["dainr.prepare"],
    ["dainr.networks"],
    ["dainr.fields"],
    ["dainr.assess"],
    ["dainr.methods"],
    ["dainr.pretrained"],
    ["dainr.report"],
    ["dainr.runs"],
    ["dainr.studies"],
    ["dainr.export"],
    ["dainr.serve"],
    ["dainr.library"],
    ["dainr.cli"],
]
FACE = ("dainr", "dainr.library")  # the package offers what the library has, imported when it is named
STAGES = {name: number for number, names in enumerate(ORDER) for name in names}


def find_modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    packages = {"dainr": "dainr", "cli": "dainr.cli", "pretrained": "dainr.pretrained"}
    for folder, package in ((ROOT / name, package) for name, package in packages.items()):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


MODULES = find_modules()
LIBRARY = [name for name in MODULES if not name.startswith(("dainr.cli", "dainr.pretrained"))]  # neither is a script


def stage(module: str) -> int:
    """The stage of a module: its own, or its package's; of `dainr` itself only for `dainr`."""
    name = module
    while name not in STAGES and name.count(".") > 1:
        name = name.rpartition(".")[0]
    assert name in STAGES, f"{module} has no place in the order: give it one"
    return STAGES[name]


def imports(source: str, module: str, is_package: bool) -> list[tuple[int, str]]:
    """Line and dotted name of every module of dainr that a source imports, wherever in it that stands."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                package = parts[: len(parts) - node.level + is_package]
                base = ".".join([*package, *([node.module] if node.module else [])])
            inner = [f"{base}.{alias.name}" for alias in node.names]
            found += [(node.lineno, name if name in MODULES else base) for name in inner]
    return [(line, name) for line, name in found if name.split(".")[0] == "dainr"]


def outward_calls(source: str) -> list[tuple[int, str]]:
    """Line and name of every call that prints or ends the program."""
    forbidden = {"print", "exit", "quit", "input", "SystemExit", "sys.exit", "os._exit", "sys.stdout.write"}
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sorted((c.lineno, ast.unparse(c.func)) for c in calls if ast.unparse(c.func) in forbidden)


def test_every_part_of_the_order_exists() -> None:
    assert [name for name in STAGES if name not in MODULES] == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_path_of_the_data(module: str) -> None:
    path = MODULES[module]
    found = imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
    late = [f"{module}:{line} imports {n}" for line, n in found if stage(n) > stage(module) and (module, n) != FACE]
    assert late == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {}
    for module, path in MODULES.items():
        found = imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
        graph[module] = {name for _, name in found if (module, name) != FACE}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(MODULES)  # raises CycleError


def test_the_root_of_the_package_is_small() -> None:
    assert len(list((ROOT / "dainr").glob("*.py"))) <= 8


@pytest.mark.parametrize("module", LIBRARY)
def test_the_library_neither_prints_nor_exits(module: str) -> None:
    calls = outward_calls(MODULES[module].read_text(encoding="utf-8"))
    assert [f"{module}:{line} calls {name}" for line, name in calls] == []


def test_the_library_knows_no_command_line() -> None:
    found = []
    for module in LIBRARY:
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                found += [f"{module}: {n}" for n in names if n.split(".")[0] in ("typer", "click", "rich", "argparse")]
    assert found == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import dainr.runs.run", ["dainr.runs.run"]),
        ("from dainr import export, __version__", ["dainr.export", "dainr"]),
        ("def f():\n    from dainr.io.scans import native", ["dainr.io.scans.native"]),
        ("from . import nifti", ["dainr.io.images.nifti"]),
        ("from ..hdf5 import is_hdf5", ["dainr.io.hdf5"]),
        ("from ...scan import Scan", ["dainr.scan"]),
        ("import numpy", []),
    ],
)
def test_imports_are_found_in_every_form(source: str, names: list[str]) -> None:
    assert [name for _, name in imports(source, "dainr.io.images.cine", False)] == names


def test_outward_calls_are_found() -> None:
    source = "import sys\nprint('x')\nif x:\n    raise SystemExit(1)\nsys.exit(2)\nlog.exit()\n"
    assert outward_calls(source) == [(2, "print"), (4, "SystemExit"), (5, "sys.exit")]
