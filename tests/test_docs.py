"""The documentation is true: commands, options, links, targets, modules and names in it exist."""

import importlib
import importlib.util
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import yaml

from dainr.assess.verdict import GOOD_ERROR, POOR_ERROR
from dainr.cli import app
from dainr.networks.unrolled import layers, unrolled
from tests.test_layering import MODULES, ORDER

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "pretrained" / "README.md", *DOCS]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMAND = re.compile(r"(?:^ {4}(?:\$ )?|^\$ |`)dainr ([a-z]+[^\n`#]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def script(name: str) -> Any:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_the_command_reference_is_the_programs_own() -> None:
    written = text_of(ROOT / "docs" / "cli.md")
    assert written == script("cli_reference").reference(), "docs/cli.md is out of date: run make docs"


@every_page
def test_every_command_named_in_a_page_exists_with_its_options(page: Path) -> None:
    for line in COMMAND.findall(text_of(page)):
        name, *words = line.split()
        assert name in COMMANDS, line
        options = {flag for p in COMMANDS[name].params for flag in p.opts}
        assert {word for word in words if re.fullmatch(r"--?[a-z-]+", word)} <= options, line


def test_commands_are_found_wherever_they_stand() -> None:
    text = "    dainr fit a\n```console\n$ dainr info b\n```\n`dainr doctor`, or | `dainr fit c -q` |; dainr methods"
    assert COMMAND.findall(text) == ["fit a", "info b", "doctor", "fit c -q"]


@every_page
def test_every_option_named_alone_is_one_of_a_command(page: Path) -> None:
    known = {flag for command in COMMANDS.values() for p in command.params for flag in p.opts}
    of_pages = set(re.findall(r"`(--[a-z-]+)", text_of(page)))
    assert of_pages - known - {"--help"} == set()


@every_page
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    for target, anchor in LINK.findall(text_of(page)):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@every_page
def test_every_make_target_exists(page: Path) -> None:
    makefile = text_of(ROOT / "Makefile")
    for target in re.findall(r"`make ([a-z-]+)|^ {4}make ([a-z-]+)", text_of(page), re.MULTILINE):
        assert re.search(rf"^{max(target)}:", makefile, re.MULTILINE), target


@every_page
def test_every_file_and_module_named_in_a_page_exists(page: Path) -> None:
    text = text_of(page)
    for path in re.findall(r"`((?:dainr|cli|tests|examples|docs|benchmarks|pretrained)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m ((?:benchmarks|dainr)[\w.]*)", text):
        file = ROOT / Path(*module.split("."))
        assert module in MODULES or file.with_suffix(".py").exists() or (file / "__main__.py").exists(), module
    for module, names in re.findall(r"^\s*from (dainr[\w.]*) import ([\w, ]+)$", text, re.MULTILINE):
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_readme_names_the_tests_and_the_demo() -> None:
    assert "`make test`" in text_of(ROOT / "README.md")
    assert "`make demo`" in text_of(ROOT / "README.md")


def test_the_path_of_the_data_is_that_of_the_layering() -> None:
    rows = re.findall(r"^\d+\. (`dainr.*?): ", text_of(ROOT / "docs" / "extending.md"), re.MULTILINE)
    assert [re.findall(r"`([\w.]+)`", row) for row in rows] == ORDER


def test_every_name_of_the_python_interface_exists() -> None:
    names = re.findall(r"^::: (\S+)", text_of(ROOT / "docs" / "api.md"), re.MULTILINE)
    assert len(names) > 10
    for name in names:
        module = name
        while module not in MODULES:
            module = module.rpartition(".")[0]
        found: Any = importlib.import_module(module)
        for part in name.removeprefix(module).split(".")[1:]:
            found = getattr(found, part)
        assert found.__doc__, name


def test_the_verdict_is_explained_by_the_figures_it_goes_by() -> None:
    faq = text_of(ROOT / "docs" / "faq.md")
    assert f"expected to be off by {POOR_ERROR:.0%} of".replace("%", " %") in faq
    assert f"the same, {100 * GOOD_ERROR:.0f} to {100 * POOR_ERROR:.0f} %: " in faq
    report = text_of(ROOT / "dainr" / "report" / "templates" / "template.html")
    for verdict in ("Sound", "Use with care", "Not reliable"):
        assert f"*{verdict}*" in faq
        assert f'"{verdict}"' in report


def test_the_messages_that_are_explained_are_those_of_the_program() -> None:
    sources = "".join(text_of(path) for path in MODULES.values())
    quoted = re.findall(r'^- \*\*"(.+?)"\*\*', text_of(ROOT / "docs" / "faq.md"), re.MULTILINE)
    assert len(quoted) >= 3
    for message in quoted:
        assert message in sources, message


def test_the_site_has_every_page() -> None:
    def pages(nav: Any) -> list[str]:
        if isinstance(nav, str):
            return [nav]
        return [page for entry in (nav.values() if isinstance(nav, dict) else nav) for page in pages(entry)]

    in_nav = pages(yaml.safe_load(text_of(ROOT / "mkdocs.yml"))["nav"])
    examples = [f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.py")]
    assert sorted(in_nav) == sorted(
        [*(page.name for page in DOCS), "index.md", "changelog.md", "weights.md", *examples]
    )


def test_the_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "gallery").iterdir())
    assert max(picture.stat().st_size for picture in pictures) < 300_000
    assert sum(picture.stat().st_size for picture in pictures) < 2_500_000
    shown = re.findall(r"\]\((gallery/[^)]+)\)", text_of(ROOT / "docs" / "gallery.md"))
    assert sorted(shown) == sorted(f"gallery/{picture.name}" for picture in pictures)


def test_the_tools_of_the_site_are_pinned() -> None:
    wanted = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]["docs"]
    pinned = {line.partition("==")[0] for line in text_of(ROOT / "constraints.txt").split()}
    assert {re.split(r"[^\w-]", tool)[0] for tool in wanted} <= pinned


def test_links_of_the_repository_become_links_of_the_site() -> None:
    pytest.importorskip("latex2mathml", reason="the extra docs is not installed")
    pages = script("pages")
    assert pages.on_the_site("[a](docs/faq.md#b) ![c](docs/d.gif)", "README.md") == "[a](faq.md#b) ![c](d.gif)"
    assert pages.on_the_site("[a](../pretrained/README.md)", "docs/faq.md") == "[a](weights.md)"
    assert pages.on_the_site("[a](../examples/b.py) [c](#d)", "docs/faq.md") == "[a](examples/b.md) [c](#d)"
    assert pages.on_the_site("[a](../docs/faq.md)", "pretrained/README.md") == "[a](faq.md)"
    assert pages.on_the_site("[a](https://b.org/c)", "README.md") == "[a](https://b.org/c)"


def test_equations_become_mathml() -> None:
    pytest.importorskip("latex2mathml", reason="the extra docs is not installed")
    page = script("pages").on_the_site("before\n\n```math\nx^2\n```\n\nafter", "docs/methods.md")
    assert re.fullmatch(r'before\n\n<div class="equation"><math .*</math></div>\n\nafter', page)


def test_a_console_block_is_run_anew(tmp_path: Path) -> None:
    consoles = script("consoles")
    assert (
        consoles.rerun("$ echo new > a\nold\n$ cat a\nold\n", str(tmp_path))
        == "```console\n$ echo new > a\n$ cat a\nnew\n```"
    )
    for command, why in (("exit 3", "exit code 3"), ("echo /python/site-packages/x.py:1: UserWarning", "complains")):
        with pytest.raises(SystemExit, match=why):
            consoles.rerun(f"$ {command}\n", str(tmp_path))


def test_every_make_target_says_what_it_does() -> None:
    makefile = text_of(ROOT / "Makefile")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert sorted(re.findall(r"^([a-z-]+):.*  ## \w", makefile, re.MULTILINE)) == sorted(phony[1].split())


def test_the_hooks_run_what_make_lint_and_make_types_run() -> None:
    makefile = text_of(ROOT / "Makefile")
    recipes = re.findall(r"^(?:lint|types):.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for recipe in recipes for line in recipe.splitlines()]
    hooks = re.findall(r"^ +entry: (.*)$", text_of(ROOT / ".pre-commit-config.yaml"), re.MULTILINE)
    assert sorted(hooks) == sorted(commands) and len(hooks) == 3


def test_the_network_in_one_file_runs() -> None:
    section = text_of(ROOT / "docs" / "extending.md").partition("## A network in one file")[2].partition("\n## ")[0]
    code = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    ") or not line)
    names = {"dataclass": dataclass, "torch": torch, "Tensor": torch.Tensor} | vars(layers) | vars(unrolled)
    exec(code, names)
    network = names["build"](names["PlainConfig"](channels=4))
    assert len(network.regularisers) == network.cascades == 3
    x, state = network.regularisers[0](torch.randn(3, 2, 9, 8), None, True)
    assert x.shape == (3, 2, 9, 8) and state is None
