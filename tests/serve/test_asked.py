"""What clients may ask for, by the names of configurations and parameters."""

from pathlib import Path
from typing import Any

import pytest

from dainr.cli.serve import _check_options
from dainr.errors import BadRequest
from dainr.serve.asked import Offer, Order, read_parameters

STARTED = Order(options={"frames_per_cycle": 25, "preset": "fast", "set": ["encoder=none"]}, images="float")
OFFER = Offer(STARTED, check=_check_options)


@pytest.mark.parametrize("config", ["", "default", "openrecon", "OpenRecon", "default.xml"])
def test_what_names_nothing_is_done_as_the_server_was_started(config: str) -> None:
    assert OFFER.order(config, {}).options == STARTED.options


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("dainr", {"frames_per_cycle": 25, "method": "dainr", "set": ["encoder=none"]}),
        ("dainr_fast", {"frames_per_cycle": 25, "method": "dainr", "preset": "fast", "set": ["encoder=none"]}),
        ("fast", {"frames_per_cycle": 25, "method": "dainr", "preset": "fast", "set": ["encoder=none"]}),
        ("grasp", {"frames_per_cycle": 25, "method": "grasp"}),
        ("l+s", {"frames_per_cycle": 25, "method": "l+s"}),
        ("crunet_trained", {"frames_per_cycle": 25, "method": "crunet", "preset": "trained"}),
    ],
)
def test_a_configuration_is_a_method_or_a_preset(config: str, options: dict[str, Any]) -> None:
    assert OFFER.order(config, {}).options == options


def test_a_file_of_settings_is_a_configuration_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "ward.toml").write_text("[fit]\niterations = 100\n")
    (tmp_path / "crunet_ward.toml").write_text("seed = 3\n")
    offer = Offer(presets=tmp_path, check=_check_options)
    assert offer.order("ward", {}).options == {"method": "dainr", "preset": str(tmp_path / "ward.toml")}
    assert offer.order("crunet_ward", {}).options["method"] == "crunet"
    with pytest.raises(BadRequest, match="crunet_ward, ward"):
        offer.order("../ward", {})


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({"spokes_per_frame": 13, "frames_per_cycle": 0}, {"spokes_per_frame": 13}),
        ({"spokesperframe": "13", "Every": 5.0}, {"spokes_per_frame": 13, "every": 5}),
        ({"iterations": 0, "budget": "20s", "seed": 0}, {"budget": "20s", "seed": 0}),
        ({"errorMap": "True", "slices": "0"}, {"error_map": True, "slices": "0"}),
        ({"errormap": False, "matrix": ""}, {}),
        ({"readout-ms": 3, "contrast": 0}, {"readout_ms": "3", "contrast": "0"}),
        ({"encoder": "none", "warped.levels": 4}, {"set": ["encoder=none", "warped.levels=4"]}),
        ({"prior": "none", "Moments": 2}, {"set": ["encoder=none", "subframes=2"]}),
        ({"features": "none"}, {"set": ["encoder=none"]}),
        ({"config": "grasp"}, {"method": "grasp"}),
        ({"config": "grasp", "customconfig": "gridding"}, {"method": "gridding"}),
    ],
)
def test_parameters_are_options_and_settings_under_names_as_scanners_have_them(
    parameters: dict[str, Any], options: dict[str, Any]
) -> None:
    assert Offer(check=_check_options).order("dainr", parameters).options == {"method": "dainr"} | options


def test_images_and_preview_are_asked_for_beside() -> None:
    order = OFFER.order("dainr", {"images": "int16", "preview": "grasp"})
    assert (order.images, order.preview) == ("int16", "grasp")
    assert OFFER.preview_options(order) == {"frames_per_cycle": 25, "method": "grasp"}
    assert OFFER.order("dainr", {"images": "", "preview": "none"}) == OFFER.order("dainr", {})


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"colour": 1}, "choose config, customconfig, images, preview, preset"),
        ({"levels": 3}, "several settings have that name"),
        ({"spokesperframe": "many"}, "it is no whole number"),
        ({"spokesperframe": True}, "it is no whole number"),
        ({"spokesperframe": 1e400}, "it is no whole number"),
        ({"errormap": "perhaps"}, "it is not true or false"),
        ({"images": "rgb"}, "choose auto or int16 or float or complex"),
        ({"preview": "nothing_like_it"}, "there is none of that name"),
        ({"preset": "../../etc.toml"}, "choose default or fast or hash or paper"),
        ({"matrix": "big"}, "it is not a size in pixels"),
        ({"iterations": {"a": 1}}, "no number, word or truth value"),
        ({"budget": "x" * 1000}, "no number, word or truth value"),
        ({"device": "cuda"}, "there is none of that name"),
        ({"encoder_weights": "/etc/passwd"}, "there is none of that name"),
        ({"mdsr_weights": "/etc/passwd"}, "there is none of that name"),
        ({"noise": "/etc/passwd"}, "there is none of that name"),
        ({"spokes_per_frame": 5, "frames_per_cycle": 5}, "each of them makes the frames"),
    ],
)
def test_what_is_not_on_offer_is_refused_with_what_is(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        Offer(check=_check_options).order("dainr", parameters)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ('{"version": "1.1.0", "parameters": {"images": "float"}}', {"images": "float"}),
        ('{"version": "1.1.0", "images": "float"}', {"images": "float"}),
        ("dainr", None),
        ("[1]", None),
        ('{"parameters": 3}', None),
        ("[" * 100000, None),
    ],
)
def test_parameters_are_json(text: str, parameters: dict[str, Any] | None) -> None:
    assert read_parameters(text) == parameters
