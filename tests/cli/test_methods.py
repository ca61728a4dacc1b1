import pytest

from dainr.methods import METHODS, get_method
from dainr.methods.dainr.config import DainrConfig
from dainr.settings.build import build_config, list_settings
from dainr.settings.presets import preset_names, read_preset

from . import succeed


def test_every_method_and_preset_is_listed_with_what_it_is() -> None:
    shown = succeed("methods").stdout
    for name in METHODS:
        assert f"{name}: {get_method(name).about}" in shown
        for preset in preset_names(name):
            listed = shown.partition(f"presets of {name}:")[2].partition("presets of")[0]
            (line,) = [line for line in listed.splitlines() if line.startswith(f"  {preset}: ")]
            assert len(line) > len(f"  {preset}: ")


def test_settings_are_listed_with_their_values() -> None:
    shown = succeed("methods", "--settings").stdout
    fit = DainrConfig().fit
    assert f"  fit.learning_rate = {fit.learning_rate}  (a number)" in shown
    assert f"  fit.iterations = {fit.iterations}  (a whole number)" in shown
    assert f"  encoder = {DainrConfig().encoder}  (none or mdsr or edsr or rdn or swinir)" in shown
    for name in METHODS:
        for key in list_settings(get_method(name).Config):
            assert f"  {key} = " in shown


@pytest.mark.parametrize(("method", "preset"), [(name, preset) for name in METHODS for preset in preset_names(name)])
def test_every_preset_is_a_config(method: str, preset: str) -> None:
    build_config(get_method(method).Config, read_preset(preset, method))
