"""A report in a browser: its own script runs under its Content-Security-Policy, and no other does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli import GRIDDING, succeed

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OTHERS = '<body><script>document.title="theirs"</script><img src="data:image/png,x" onerror="document.title=1">'
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no browser")
def test_scripts_of_names_and_of_others_do_not_run(radial_file: Path, tmp_path: Path) -> None:
    named = radial_file.rename(tmp_path / '"><img src=x onerror=document.title=1>.h5')
    succeed("fit", named, "-o", tmp_path / "run", "-q", *GRIDDING)
    page = tmp_path / "run" / "report.html"
    text = page.read_text(encoding="utf-8")
    assert text.count("<body>") == 1
    page.write_text(text.replace("<body>", OTHERS), encoding="utf-8")
    asked = [str(CHROMIUM), *OPTIONS, f"--user-data-dir={tmp_path / 'browser'}", page.as_uri()]
    shown = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True).stdout
    title = shown.partition("<title>")[2].partition("</title>")[0]
    assert title.startswith("dainr: ") and "onerror" in title
    assert "(0 to 5), " in shown  # what its own script writes beside the player
