"""Settings: keys, values, presets and their round trip."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.errors import BadRequest
from dainr.methods.dainr.method import DainrConfig
from dainr.settings.build import build_config, config_dict, differences, list_settings, with_new_names
from dainr.settings.presets import DEFAULT_PRESET, preset_about, preset_names, read_preset


@dataclass(frozen=True)
class Inner:
    size: int = 3
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    order: Literal[1, 4] = 1


@dataclass(frozen=True)
class Outer:
    name: str = "x"
    flag: bool = False
    size: int = 1
    inner: Inner = field(default_factory=lambda: Inner(rate=0.25))


def build(*pairs: str, preset: dict[str, Any] | None = None) -> Outer:
    return build_config(Outer, preset or {}, pairs)


def test_nothing_asked_is_the_defaults() -> None:
    assert build() == Outer()
    assert build_config(DainrConfig, {}) == DainrConfig()


def test_a_choice_of_numbers_is_one_of_them_and_no_other_type() -> None:
    assert build("order=4").inner.order == 4
    assert build(preset={"inner": {"order": 4}}).inner.order == 4
    for value in (2, 4.0, True, "4"):
        with pytest.raises(BadRequest, match="not one of its values"):
            build(preset={"inner": {"order": value}})
    with pytest.raises(BadRequest, match=r"order=3: that is not one of its values; choose 1 or 4"):
        build("order=3")


def test_a_dotted_key_reaches_the_nested_setting() -> None:
    assert build("inner.size=7") == Outer(inner=Inner(size=7, rate=0.25))
    assert build("size=7") == Outer(size=7)


def test_a_short_key_does_where_only_one_setting_has_it() -> None:
    assert build("kind=b").inner.kind == "b"
    assert build_config(DainrConfig, {}, ["iterations=7", "holdout=0.1"]).fit.iterations == 7


def test_changing_one_nested_setting_keeps_the_defaults_of_the_others() -> None:
    table = build_config(DainrConfig, {"field": "pointwise"}, ["deformation.table.levels=4"]).deformation.table
    default = DainrConfig().deformation.table
    assert (table.levels, table.finest, table.indexing) == (4, default.finest, default.indexing)
    assert build("rate=1").inner == Inner(rate=1.0)


def test_a_renamed_setting_is_known_by_its_old_name_which_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        config = build_config(DainrConfig, {"features": "none"}, ["moments=3", "features=none"])
    assert (config.encoder, config.subframes) == ("none", 3)
    assert caplog.messages == [
        "the setting features is called encoder now",
        "the setting moments is called subframes now",
    ]


def test_settings_of_an_old_run_are_read_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    stored = config_dict(DainrConfig(encoder="none", subframes=2))
    stored["features"], stored["moments"] = stored.pop("encoder"), stored.pop("subframes")
    assert build_config(DainrConfig, with_new_names(DainrConfig, stored)) == DainrConfig(encoder="none", subframes=2)
    assert not caplog.messages


def test_pairs_win_over_the_preset_and_later_over_earlier() -> None:
    preset = {"size": 5, "inner": {"size": 6}}
    assert build(preset=preset) == Outer(size=5, inner=Inner(size=6, rate=0.25))
    assert build("inner.size=7", "inner.size=8", preset=preset) == Outer(size=5, inner=Inner(size=8, rate=0.25))


@pytest.mark.parametrize(
    ("pair", "value"),
    [("flag=true", True), ("flag=Yes", True), ("flag=1", True), ("flag=off", False), ("flag=0", False)],
)
def test_flags_are_read_in_words(pair: str, value: bool) -> None:
    assert build(pair).flag is value


def test_numbers_and_texts_are_read_as_their_type() -> None:
    built = build("rate=1e-3", "name= a=b ", "inner.size= 12 ")
    assert (built.inner.rate, built.name, built.inner.size) == (1e-3, "a=b", 12)
    assert isinstance(build("rate=2").inner.rate, float)
    assert isinstance(build(preset={"inner": {"rate": 2}}).inner.rate, float)


def test_an_ambiguous_key_lists_the_candidates() -> None:
    with pytest.raises(BadRequest, match=r"several settings have that name; write .*deformation.table.levels"):
        build_config(DainrConfig, {}, ["levels=3"])


@pytest.mark.parametrize(("key", "suggestion"), [("sise", "size"), ("inner.rat", "inner.rate"), ("knd", "inner.kind")])
def test_an_unknown_key_suggests_the_closest(key: str, suggestion: str) -> None:
    with pytest.raises(BadRequest, match=f"setting {key}: there is no such setting; did you mean {suggestion}"):
        build(f"{key}=1")


def test_a_key_like_no_other_lists_them_all() -> None:
    with pytest.raises(BadRequest, match=r"the settings are name, flag, size, inner.size, inner.rate, inner.kind"):
        build("zzzzzz=1")


@pytest.mark.parametrize("preset", [{"sise": 1}, {"inner": {"sise": 1}}, {"inner": 3}, {"size": {"inner": 1}}])
def test_an_unknown_key_in_a_preset_is_refused(preset: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="there is no such setting"):
        build(preset=preset)


@pytest.mark.parametrize(
    ("pair", "fix"),
    [
        ("size=1.5", "give a whole number"),
        ("size=many", "give a whole number"),
        ("rate=fast", "give a number"),
        ("rate=nan", "give a number"),
        ("flag=perhaps", "write true or false"),
        ("kind=c", "choose a or b"),
        ("size", "write --set key=value"),
    ],
)
def test_a_wrong_value_says_what_would_be_right(pair: str, fix: str) -> None:
    with pytest.raises(BadRequest, match=fix):
        build(pair)


@pytest.mark.parametrize(
    "preset",
    [{"size": 1.0}, {"size": "1"}, {"size": True}, {"flag": 1}, {"name": 3}, {"inner": {"kind": ["a"]}}, {"size": [1]}],
)
def test_a_preset_value_of_the_wrong_type_is_refused(preset: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"the value is not|not one of its values"):
        build(preset=preset)


def test_values_that_make_no_sense_are_refused_by_their_config() -> None:
    with pytest.raises(BadRequest, match=r"choose 0 to 0.5"):
        build_config(DainrConfig, {}, ["holdout=0.9"])
    with pytest.raises(BadRequest, match="choose at least 1"):
        build_config(DainrConfig, {}, ["iterations=0"])


@settings(max_examples=30, deadline=None)
@given(
    levels=st.integers(1, 16),
    rate=st.floats(1e-6, 1.0),
    features=st.sampled_from(["none", "mdsr"]),
    device=st.text(max_size=8),
    schedule=st.sampled_from(["halving", "cosine"]),
)
def test_a_config_survives_the_round_trip_through_a_mapping(
    levels: int, rate: float, features: str, device: str, schedule: str
) -> None:
    preset = {
        "field": "pointwise",
        "encoder": features,
        "device": device,
        "canonical": {"table": {"levels": levels}},
        "fit": {"learning_rate": rate, "schedule": schedule},
    }
    config = build_config(DainrConfig, preset)
    assert build_config(DainrConfig, config_dict(config)) == config
    assert differences(config_dict(config), config_dict(config)) == []


def test_differences_are_the_dotted_keys() -> None:
    changed = build("inner.size=7", "name=y")
    assert differences(config_dict(changed), config_dict(Outer())) == ["inner.size", "name"]


def test_every_setting_is_listed_with_its_values_in_words() -> None:
    assert list_settings(Outer) == {
        "name": "text",
        "flag": "true or false",
        "size": "a whole number",
        "inner.size": "a whole number",
        "inner.rate": "a number",
        "inner.kind": "a or b",
        "inner.order": "1 or 4",
    }


def test_the_paper_preset_is_the_published_table() -> None:
    config = build_config(DainrConfig, read_preset("paper"))
    deformation, canonical, table, fit = config.deformation, config.canonical, config.canonical.table, config.fit
    assert (deformation.encoding, deformation.degree_xy, deformation.degree_t) == ("frequency", 10, 6)
    assert (deformation.layers, deformation.width) == (5, 128)
    assert (table.levels, table.features_per_level, table.base, table.finest) == (16, 2, 16, 2048)
    assert (table.log2_table, table.indexing) == (19, "tiled")
    assert (canonical.degree_xy, canonical.degree_t, canonical.width) == (10, 6, 64)
    assert (config.field, config.encoder) == ("pointwise", "mdsr")
    assert (fit.iterations, fit.learning_rate, fit.schedule, fit.halve_every) == (1001, 1e-3, "halving", 2000)
    assert (fit.frames_per_step, fit.warm_up, fit.weight_decay, fit.decay_of_squares) == (1, 0.0, 0.01, 0.999)


def test_the_default_preset_is_the_defaults() -> None:
    assert build_config(DainrConfig, read_preset(DEFAULT_PRESET)) == DainrConfig()


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_preset_builds_and_says_what_it_is(name: str) -> None:
    config = build_config(DainrConfig, read_preset(name))
    assert build_config(DainrConfig, config_dict(config)) == config
    assert preset_about(name)
    assert "about" not in read_preset(name)


def test_a_preset_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('about = "mine"\nsize = 4\n[inner]\nrate = 2\n')
    assert build_config(Outer, read_preset(str(path))) == Outer(size=4, inner=Inner(rate=2.0))
    assert preset_about(str(path)) == "mine"


def test_presets_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    broken, missing, binary = tmp_path / "broken.toml", tmp_path / "missing.toml", tmp_path / "binary.toml"
    broken.write_text("size = = 4")
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (broken, binary):
        with pytest.raises(BadRequest, match="not valid TOML"):
            read_preset(str(path))
    with pytest.raises(BadRequest, match="there is no such file"):
        read_preset(str(missing))
    with pytest.raises(BadRequest, match=r"there is no such preset; choose .*paper.*or a .toml file"):
        read_preset("papier")
