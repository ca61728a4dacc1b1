"""Pages run their own scripts alone, whatever the names in them say."""

import base64
import hashlib
import re

import pytest

from dainr.report.page import POLICY, SCRIPTS, render

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'</title>"


def page_of(template: str, name: str) -> str:
    record = {"versions": {"dainr": name}}
    return render(template, {"label": name}, record=record, rows=[], thumbnails={})


@pytest.mark.parametrize("name", ["scan.h5", HOSTILE, POLICY])
def test_only_the_script_of_the_page_is_let_run(name: str) -> None:
    page = page_of("batch.html", name)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    allowed = set(re.findall(r"'sha256-([^']+)'", policy[1]))
    scripts = SCRIPTS.findall(page)
    assert len(scripts) == 1
    assert allowed == {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert "unsafe" not in policy[1].split("style-src")[0]
    assert policy[1].startswith("default-src 'none'")
    assert page.index("Content-Security-Policy") < page.index("<script>")
    assert "<img src=x" not in page


def test_a_page_with_a_player_keeps_names_out_of_its_script() -> None:
    page = render("base.html", {"label": HOSTILE}, record={"versions": {"dainr": HOSTILE}})
    assert len(SCRIPTS.findall(page)) == 1
    assert page.count("</script>") == 1
    assert "<" not in page.split("<script>")[1].split("\n")[0]
    assert "onerror=" not in page.split("<script>")[0].split("<style>")[0]
