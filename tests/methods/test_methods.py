"""What every method brings: a config that builds, its presets, and a sentence for a methods section."""

import pytest

from dainr.errors import BadRequest
from dainr.methods import METHODS, configure, get_method
from dainr.settings.build import build_config, config_dict
from dainr.settings.presets import DEFAULT_METHOD, DEFAULT_PRESET, NONE, preset_names, read_preset

each = pytest.mark.parametrize("name", METHODS)


@each
def test_the_presets_it_names_are_those_that_ship(name: str) -> None:
    method = get_method(name)
    assert sorted(method.presets) == preset_names(name)
    for preset in method.presets:
        assert configure(name, preset) == (preset, build_config(method.Config, read_preset(preset, name)))


@each
def test_without_a_preset_the_first_is_used_and_pairs_win_over_it(name: str) -> None:
    method = get_method(name)
    in_use, config = configure(name, None, ["seed=7"])
    assert in_use == (method.presets[0] if method.presets else NONE)
    assert config.seed == 7
    assert configure(name, in_use, ["seed=7"]) == (in_use, config)


def test_the_default_method_begins_with_the_default_preset() -> None:
    assert configure(DEFAULT_METHOD, None)[0] == DEFAULT_PRESET


def test_a_preset_of_a_method_without_any_is_refused() -> None:
    with pytest.raises(BadRequest, match="--preset fast: method grasp has no presets; leave it out"):
        configure("grasp", "fast")


@each
def test_it_is_cited_with_the_program(name: str) -> None:
    method = get_method(name)
    for preset in method.presets or (None,):
        said = method.citation(config_dict(configure(name, preset)[1]))
        assert "dainr {version}" in said
        assert said.endswith(".")
