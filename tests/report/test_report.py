"""The report stands alone, shows what the run found, and trusts no name."""

import base64
import json
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from dainr.methods import get_method
from dainr.methods.recon import Recon
from dainr.prepare.frames import bin_spokes
from dainr.report import build_report
from dainr.runs.folder import REPORT, RunFolder
from dainr.runs.run import Request, reconstruct_into
from dainr.scan import Scan
from dainr.settings.build import build_config
from tests.conftest import TINY
from tests.helper import repeated

Run = tuple[Recon, dict[str, Any], dict[str, Any]]  # recon, config, record: what a report is built from
EVIL = "</script><script>alert('scan')</script><img src=x onerror=alert(1)>"


def reconstruct(scan: Scan, path: Path, method: str, *settings: str) -> Run:
    config = build_config(get_method(method).Config, {}, [*settings, "nufft=finufft", "device=cpu"])
    folder = RunFolder(path)
    recon = reconstruct_into(folder, scan, Request(method, "default", "scan.h5", "0" * 64), config)
    return recon, folder.read_config(), folder.read_record()


@pytest.fixture(scope="module")
def fitted(radial_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Run:
    stack = replace(repeated(radial_scan, 2), reference=None)
    path = tmp_path_factory.mktemp("fitted")
    run = reconstruct(stack, path, "dainr", *TINY, "iterations=12", "validate_every=4")
    assert (path / REPORT).read_text() == build_report(*run)
    return run


@pytest.fixture(scope="module")
def gridded(radial_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return reconstruct(radial_scan, tmp_path_factory.mktemp("gridded"), "gridding")


class Page(HTMLParser):
    """Tags, the resources they name, and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.resources: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
                self.resources.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.text += data


def player(html: str) -> dict[str, Any]:
    found = re.search(r"const player = (.*);$", html, re.MULTILINE)
    assert found
    return json.loads(found[1])


def picture(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return imageio.imread(base64.b64decode(data))


@pytest.mark.parametrize("kind", ["fitted", "gridded"])
def test_nothing_is_loaded_from_outside(kind: str, request: pytest.FixtureRequest) -> None:
    html = build_report(*request.getfixturevalue(kind))
    page = Page(html)
    assert [r for r in page.resources if not r.startswith(("#", "data:"))] == []
    assert [u for u in re.findall(r"url\(\s*['\"]?([^)]*)", html) if not u.startswith(("#", "data:"))] == []
    assert not {"link", "iframe", "object", "embed"} & set(page.tags)
    assert "@import" not in html
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts)\b", html)


@pytest.mark.parametrize("kind", ["fitted", "gridded"])
def test_every_sentence_of_the_verdict_is_there(kind: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(kind)
    html = build_report(*run)
    assert run[2]["verdict"]
    for finding in run[2]["verdict"]:
        assert escape(finding["text"], quote=False) in html


def test_the_player_has_every_frame_of_every_slice(fitted: Run) -> None:
    data = player(build_report(*fitted))
    assert (data["frames"], data["height"], data["width"]) == (6, 32, 32)
    assert len(data["times"]) == 6
    assert len(data["slices"]) == 2
    for shown in data["slices"]:
        for name in ("fit", "gridded"):
            assert picture(shown[name]).shape == (6 * 32, 32)
        for name in ("fit_profile", "gridded_profile"):
            assert picture(shown[name]).shape[0] == 32
        assert 0 <= shown["column"] < 32


def test_the_player_shows_the_cine(gridded: Run) -> None:
    shown = picture(player(build_report(*gridded))["slices"][0]["fit"]).reshape(6, 32, 32).astype(float)
    magnitude = np.abs(gridded[0].cine.data[0])
    unclipped = shown < 255
    assert np.corrcoef(shown[unclipped], magnitude[unclipped])[0, 1] > 0.999


def test_each_slice_has_its_curves(fitted: Run, gridded: Run) -> None:
    assert Page(build_report(*fitted)).tags.count("svg") == 4
    assert "Slice 1" in Page(build_report(*fitted)).text
    assert Page(build_report(*gridded)).tags.count("svg") == 0


def test_gridding_is_not_compared_with_itself(fitted: Run, gridded: Run) -> None:
    assert Page(build_report(*fitted)).tags.count("canvas") == 4
    assert Page(build_report(*gridded)).tags.count("canvas") == 1


def test_a_sentence_does_not_run_into_the_next(fitted: Run, gridded: Run) -> None:
    for run in (fitted, gridded):
        assert not re.findall(r"[a-z]\.[A-Z][a-z]+ .{20}", Page(build_report(*run)).text)


def test_what_was_done_is_told(fitted: Run) -> None:
    text = Page(build_report(*fitted)).text
    for fact in ("Baik", fitted[2]["device_name"], "learning_rate = 0.01", fitted[2]["versions"]["torch"]):
        assert fact in text


def test_what_was_corrected_is_told(fitted: Run) -> None:
    recon, config, record = fitted
    assert (
        "Gradient delays" not in build_report(*fitted)
        and "Phases of" not in build_report(*fitted)
        and "Outside" not in build_report(*fitted)
    )
    done = {
        "gradient_delays_samples": [[0.61, 0.1], [0.1, -0.3]],
        "spoke_phase_rad": [-0.28, 0.1],
        "outside_energy": 0.267,
    }
    slices = [s | {"prepare": s["prepare"] | done} for s in record["slices"]]
    text = Page(build_report(recon, config, record | {"slices": slices})).text
    assert "at most 0.61 samples" in text and "at most 0.28 rad" in text and "27 % of the energy" in text


def test_the_same_run_gives_the_same_report(fitted: Run) -> None:
    assert build_report(*fitted) == build_report(*fitted)


def test_names_and_notes_are_text_and_never_markup(fitted: Run) -> None:
    recon, config, record = fitted
    evil_scan = record["scan"] | {"name": EVIL, "notes": [EVIL]}
    evil_config = config | {"run": config["run"] | {"scan": EVIL, "preset": EVIL, "method": EVIL}}
    page = Page(build_report(recon, evil_config, record | {"scan": evil_scan, "device_name": EVIL}))
    assert page.tags.count("script") == 1
    assert page.handlers == []
    assert "x" not in page.resources
    assert EVIL in page.text


def test_a_single_frame_is_a_report_too(radial_scan: Scan, tmp_path: Path) -> None:
    still = bin_spokes(radial_scan, radial_scan.n_readouts)
    run = reconstruct(still, tmp_path / "run", "dainr", *TINY, "iterations=4", "validate_every=2")
    assert player(build_report(*run))["frames"] == 1


@pytest.mark.parametrize(("features", "said"), [("mdsr", True), ("none", False)])
@pytest.mark.parametrize("form", ["warped", "pointwise"])
def test_the_methods_text_names_the_pretrained_network_where_one_was_used(
    form: str, features: str, said: bool, fitted: Run
) -> None:
    recon, config, record = fitted
    settings = config["config"] | {"field": form, "encoder": features}
    text = Page(build_report(recon, config | {"config": settings}, record)).text
    assert ("a pretrained network (MDSR" in text) is said
    assert ("weights mdsr_cine" in " ".join(text.split())) is said


def test_an_error_map_is_shown_beside_the_image(radial_scan: Scan, tmp_path: Path, fitted: Run) -> None:
    run = reconstruct(radial_scan, tmp_path / "run", "dainr", *TINY, "iterations=12", "error_map=yes")
    page = Page(build_report(*run))
    assert "In four of five pixels the magnitude should be off by less" in page.text
    assert "% of the image's maximum" in page.text
    assert page.tags.count("img") == Page(build_report(*fitted)).tags.count("img") + 3
    assert "The error to expect" not in Page(build_report(*fitted)).text
