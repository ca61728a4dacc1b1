"""What is installed: one version, every import declared, and a wheel that works without the source beside it."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dainr import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = {"dainr": "dainr", "cli": "dainr.cli", "pretrained": "dainr.pretrained"}  # folder -> package
IMPORTED_AS = {"pillow": "PIL", "scikit-image": "skimage", "imageio-ffmpeg": "imageio_ffmpeg", "tomli-w": "tomli_w"}
IMPORTED_AS |= {"mrd-python": "mrd", "pyyaml": "yaml", "griffelib": "griffe"}
NOT_IMPORTED = {"imageio-ffmpeg"}  # imageio writes films by it
OPTIONAL = {"tinycudann", "cufinufft", "triton"}  # for CUDA, by name or with torch; nothing needs them
UNREAD = {"curve.csv"}  # of the training, for its page
TOOLS = {"pytest-timeout", "pytest-xdist", "beartype", "ruff", "mypy", "setuptools", "pip"}  # run, not imported


def declared(requirements: list[str]) -> set[str]:
    """The packages that requirements name."""
    return {re.split(r"[<>=!~ \[;]", one, maxsplit=1)[0] for one in requirements}


NEEDED = declared(PROJECT["project"]["dependencies"])
EXTRAS = {name: declared(those) for name, those in PROJECT["project"]["optional-dependencies"].items()}


def imported(folder: Path) -> dict[str, str]:
    """The packages of others that the sources in a folder import, wherever in them, and one place of each."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            found |= {name.split(".")[0]: f"{path.relative_to(ROOT)}:{node.lineno}" for name in names}
    own = {*sys.stdlib_module_names, "dainr", "benchmarks", "tests"}
    return {name: where for name, where in found.items() if name not in own}


def modules(packages: set[str]) -> set[str]:
    return {IMPORTED_AS.get(name, name) for name in packages}


@pytest.mark.parametrize("folder", PACKAGES)
def test_what_the_program_imports_is_declared(folder: str) -> None:
    allowed = modules(NEEDED | EXTRAS["twix"] | EXTRAS["mrd"]) | OPTIONAL
    assert {name: where for name, where in imported(ROOT / folder).items() if name not in allowed} == {}


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "docs", "examples"])
def test_what_tests_and_benchmarks_import_is_declared(folder: str) -> None:
    allowed = modules(NEEDED | EXTRAS["dev"] | EXTRAS["docs"] | EXTRAS["bench"]) | OPTIONAL
    assert {name: where for name, where in imported(ROOT / folder).items() if name not in allowed} == {}


def test_sigpy_is_for_tests_alone() -> None:
    """It imports MPI where that is installed, and fails where that is broken: no user shall meet it."""
    assert "sigpy" not in NEEDED | EXTRAS.get("cuda", set())
    assert not {"sigpy", "mpi4py"} & {name for folder in PACKAGES for name in imported(ROOT / folder)}


def test_what_is_declared_is_imported() -> None:
    used = {name for folder in PACKAGES for name in imported(ROOT / folder)}
    assert modules(NEEDED - NOT_IMPORTED) - used == set()
    assert NEEDED >= NOT_IMPORTED
    assert modules(EXTRAS["dev"] - TOOLS) - imported(ROOT / "tests").keys() == set()


def test_every_dependency_says_from_which_version() -> None:
    groups = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    assert [one for group in groups for one in group if ">=" not in one] == []


def test_there_is_one_version() -> None:
    assert "version" in PROJECT["project"]["dynamic"]
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None and cited[1] == __version__
    assert f"\n## {__version__} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def package_folders() -> dict[str, Path]:
    """Every folder of modules, by the name it is imported by."""
    found = {}
    for folder, package in PACKAGES.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT / folder).parts
            found[".".join([package, *parts])] = init.parent
    return found


def test_every_folder_of_modules_is_a_package() -> None:
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(package_folders())
    lost = [p for f in PACKAGES for p in (ROOT / f).rglob("*.py") if not (p.parent / "__init__.py").is_file()]
    assert lost == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what is in it, so that nothing is left in the source."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in sources():
        target = folder / "source" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*command, "-w", folder, folder / "source"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def sources() -> Iterator[Path]:
    yield from (ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE"))
    for folder in PACKAGES:
        yield from (p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_every_file_they_read(wheel: Path) -> None:
    assert wheel.name.startswith(f"dainr-{__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = set()
    for package, folder in package_folders().items():
        files = [p for p in folder.iterdir() if p.is_file() and p.name not in UNREAD]
        data = [p for name in ("presets", "templates") for p in (folder / name).rglob("*") if p.is_file()]
        wanted |= {"/".join([*package.split("."), *p.relative_to(folder).parts]) for p in files + data}
    assert held == wanted


@pytest.mark.slow
def test_the_wheel_works_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "environment"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "-q", wheel], check=True
    )
    (packages,) = home.glob("lib/python*/site-packages")
    theirs = [folder for folder in sys.path if folder.endswith("site-packages")]  # whose own .pth files do not count
    (packages / "dependencies.pth").write_text("\n".join(theirs))
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*command: str) -> str:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    found = "import dainr, dainr.cli, dainr.pretrained as p; print(dainr.__file__, dainr.cli.__file__, p.__file__)"
    assert all(Path(path).is_relative_to(home) for path in run(str(python), "-c", found).split())
    dainr = str(home / "bin" / "dainr")
    assert run(dainr, "--version") == f"dainr {__version__}\n"
    assert "paper: " in run(dainr, "methods") and "mdsr_cine: " in run(dainr, "weights")
    run(dainr, "simulate", "scan.h5", "--frames", "4", "--matrix", "32", "--coils", "2", "--spokes", "9")
    tiny = ("--device", "cpu", "--iterations", "4", "--set", "coarse_steps=2", "--set", "start_steps=2")
    record = json.loads(run(dainr, "fit", "scan.h5", "-o", "run", *tiny, "--json"))
    assert record["status"] == "done" and record["versions"]["dainr"] == __version__
    run(dainr, "export", "run", "cine.npy")
    assert np.isfinite(np.load(empty / "cine.npy")).all()
    assert (empty / "run" / "report.html").is_file()
