"""The page of a comparison stands alone, shows every method beside the reference, and trusts no name."""

import re
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dainr.assess.scores import scaled
from dainr.io.scans import native
from dainr.scan import Scan
from dainr.studies.compare import Comparison, ReferenceFile, choose_contenders, compare
from dainr.studies.comparison_page import COLOURS, build_comparison, error_factor, moving_part, score_rows
from tests.conftest import TINY
from tests.helper import repeated
from tests.report.test_report import EVIL, Page, picture, player

SENTENCE = "the fit diverged: its loss was <nan>; lower the learning rate."


@pytest.fixture(scope="module")
def compared(radial_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Gridding and a fit of two slices, and a method that failed."""
    path = tmp_path_factory.mktemp("compared") / "scan.h5"
    stack = repeated(radial_scan, 2)
    native.write(stack, path)
    settings = (*TINY, "iterations=12", "validate_every=4", "device=cpu")
    done = compare(stack, path, choose_contenders(["gridding", "dainr"], settings), ReferenceFile(path))
    failed = {"name": "l+s", "method": "l+s", "preset": "none", "about": "", "config": {}, "status": "failed"}
    failed |= {"why": SENTENCE, "exit_code": 5}
    return replace(done, record=done.record | {"methods": [*done.record["methods"], failed]})


def build(compared: Comparison, record: dict[str, Any] | None = None) -> str:
    cines = {o.contender.name: o.cine for o in compared.outcomes if o.cine is not None}
    return build_comparison(record or compared.record, cines, compared.reference)


@pytest.fixture(scope="module")
def html(compared: Comparison) -> str:
    return build(compared)


def test_nothing_is_loaded_from_outside(html: str) -> None:
    page = Page(html)
    assert [r for r in page.resources if not r.startswith(("#", "data:"))] == []
    assert [u for u in re.findall(r"url\(\s*['\"]?([^)]*)", html) if not u.startswith(("#", "data:"))] == []
    assert not {"link", "iframe", "object", "embed"} & set(page.tags)
    assert "://" not in html
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts)\b", html)


def test_every_method_is_there_with_its_scores_and_time(html: str, compared: Comparison) -> None:
    text = Page(html).text
    for entry in compared.record["methods"][:2]:
        assert entry["name"] in text
        assert f"{entry['seconds']['total']:.1f}" in text
        for region in ("whole", "dynamic"):
            assert f"{entry['scores'][region]['psnr']:.2f}" in text
            assert f"{entry['scores'][region]['haarpsi']:.4f}" in text


def test_a_failed_method_is_shown_with_its_sentence(html: str) -> None:
    assert "l+s" in Page(html).text
    assert escape(SENTENCE) in html


def test_what_was_done_is_told(html: str, compared: Comparison) -> None:
    text = Page(html).text
    record = compared.record
    facts = (record["devices"]["cpu"], f"{record['threads']} threads", record["versions"]["torch"], "scan.h5")
    for fact in (
        *facts,
        record["input"]["sha256"][:16],
        f"{record['scan']['acceleration']}-fold",
        "Spokes per frame",
        "learning_rate = 0.01",
    ):
        assert fact in text


def test_all_play_as_one(html: str) -> None:
    data = player(html)
    assert (data["frames"], len(data["times"]), len(data["slices"])) == (6, 6, 2)
    kinds = ("reference", "m0", "m1", "m0_error", "m1_error")
    for shown in data["slices"]:
        for kind in kinds:
            assert picture(shown[kind]).shape[:2] == (6 * 32, 32)
            assert picture(shown[f"{kind}_profile"]).shape[0] == 32
    page = Page(html)
    assert page.tags.count("canvas") == len(kinds)
    for kind in kinds:
        assert f'<canvas id="{kind}">' in html
        assert f'<img id="{kind}-profile"' in html


def test_errors_are_those_of_the_scores_on_one_scale(html: str, compared: Comparison) -> None:
    found = re.search(r"enlarged (\d+) times", html)
    factor = int(found[1]) if found else 1
    for index, outcome in enumerate(compared.outcomes):
        assert outcome.cine is not None
        image, truth = scaled(np.abs(outcome.cine.data[0]).astype(float), compared.reference[0].astype(float))
        grey = np.rint(255 * np.clip(factor * np.abs(image - truth), 0, 1)).astype(int).reshape(-1, 32)
        shown = picture(player(html)["slices"][0][f"m{index}_error"])[..., :3].astype(int)
        assert np.abs(shown - COLOURS[grey]).max() <= np.abs(np.diff(COLOURS.astype(int), axis=0)).max()


def entry(psnr: float, nrmse: float) -> dict[str, Any]:
    scores = {"psnr": psnr, "ssim": 0.5, "nrmse": nrmse, "haarpsi": 0.5}
    return {"scores": {"whole": scores, "dynamic": scores}}


def test_the_best_are_marked_and_equal_ones_alike() -> None:
    first, second = score_rows([entry(30.004, 0.2), entry(30.001, 0.1)])
    assert first["cells"][:4] == [("30.00", True), ("0.5000", True), ("0.2000", False), ("0.5000", True)]
    assert second["cells"][:4] == [("30.00", True), ("0.5000", True), ("0.1000", True), ("0.5000", True)]


def test_errors_are_enlarged_as_far_as_the_better_half_allows() -> None:
    def errors(*levels: float) -> list[np.ndarray]:
        return [np.full((1, 2, 4, 4), level) for level in levels]

    assert error_factor(errors(0.01, 0.9)) == 100
    assert error_factor(errors(0.9, 0.05, 0.01)) == 20
    assert error_factor(errors(0.9)) == 1
    assert error_factor(errors(3.0)) == 1
    assert error_factor(errors(0.0)) == 100


def test_the_enlarged_part_holds_what_moves_within_the_image() -> None:
    truth = np.ones((4, 40, 60))
    truth[::2, 30:38, 2:12] = 2
    x, y, width, height = moving_part(truth)
    assert 0 <= x <= 2
    assert x + width >= 12
    assert width < 60
    assert y <= 30
    assert 38 <= y + height <= 40
    assert width / height == pytest.approx(1.5, rel=0.1)
    assert moving_part(np.ones((1, 40, 60))) == (0, 0, 60, 40)


def test_names_are_text_and_never_markup(compared: Comparison) -> None:
    methods = [entry | {"name": EVIL, "about": EVIL} for entry in compared.record["methods"]]
    record = compared.record | {"methods": methods, "devices": {"cpu": EVIL}}
    record["scan"] = record["scan"] | {"name": EVIL, "notes": [EVIL]}
    record["reference"] = record["input"] = {"path": EVIL, "sha256": EVIL}
    page = Page(build(compared, record))
    assert page.tags.count("script") == 1
    assert page.handlers == []
    assert "x" not in page.resources
    assert EVIL in page.text


def test_the_same_comparison_gives_the_same_page(html: str, compared: Comparison) -> None:
    assert build(compared) == html


def test_a_single_frame_is_a_page_too(compared: Comparison, tmp_path: Path) -> None:
    cines = {
        o.contender.name: replace(o.cine, data=o.cine.data[:, :1], times=o.cine.times[:1])
        for o in compared.outcomes
        if o.cine
    }
    assert player(build_comparison(compared.record, cines, compared.reference[:, :1]))["frames"] == 1
