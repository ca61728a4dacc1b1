"""The label for Open Recon: as its schema has it, and with parameters that the server takes."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dainr import __version__
from dainr.cli.serve import _check_options
from dainr.serve.asked import Offer

ROOT = Path(__file__).parents[1]
LABEL: dict[str, Any] = json.loads((ROOT / "openrecon" / "label.json").read_text(encoding="utf-8"))
PARAMETERS = LABEL["parameters"]
OFFER = Offer(check=_check_options)
KEYS = {  # of each type: what must be there, and what may be
    "choice": ({"type", "id", "label", "default", "values"}, {"information"}),
    "int": ({"type", "id", "label", "default", "minimum", "maximum"}, {"information", "unit"}),
    "boolean": ({"type", "id", "label", "default"}, {"information"}),
    "string": ({"type", "id", "label"}, {"information", "default"}),
}


def values(parameter: dict[str, Any]) -> list[Any]:
    """What a scanner can send of a parameter."""
    if parameter["type"] == "choice":
        return [value["id"] for value in parameter["values"]]
    if parameter["type"] == "int":
        return [parameter["minimum"], parameter["maximum"]]
    return [True, "False"] if parameter["type"] == "boolean" else [parameter["default"], "30s"]


def test_the_label_has_the_parts_that_open_recon_wants() -> None:
    assert set(LABEL) == {"general", "reconstruction", "parameters"}
    assert LABEL["general"]["version"] == __version__
    assert LABEL["reconstruction"]["transfer_protocol"] == {"protocol": "ISMRMRD", "version": "1.4.1"}
    assert LABEL["reconstruction"]["emitter"] == "raw"
    assert LABEL["reconstruction"]["port"] == 9002
    assert LABEL["reconstruction"]["content_qualification_type"] == "RESEARCH"
    assert len(PARAMETERS) <= 14


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter["id"])
def test_every_parameter_is_as_the_schema_has_it(parameter: dict[str, Any]) -> None:
    needed, possible = KEYS[parameter["type"]]
    assert needed <= set(parameter) <= needed | possible
    assert re.fullmatch("[A-Za-z0-9]+", parameter["id"])
    if parameter["type"] == "choice":
        assert parameter["default"] in values(parameter)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter["id"])
def test_the_server_takes_every_value_of_every_parameter(parameter: dict[str, Any]) -> None:
    beside = {"framespercycle": 25} if parameter["id"] == "respiratorybins" else {}
    for value in values(parameter):
        OFFER.order("openrecon", beside | {parameter["id"]: value})


def test_all_defaults_together_are_what_a_scanner_sends_first() -> None:
    order = OFFER.order("openrecon", {parameter["id"]: parameter["default"] for parameter in PARAMETERS})
    assert order.options == {"method": "dainr", "preset": "fast"}
    assert order.preview == "gridding"


def test_the_label_goes_into_a_dockerfile() -> None:
    script = [sys.executable, str(ROOT / "openrecon" / "label.py")]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert text.startswith(f"FROM openrecon_dainr_dainr:v{__version__}\nLABEL ")
    encoded = re.search(r'="(.+)"\n$', text)
    assert encoded is not None
    assert json.loads(base64.b64decode(encoded[1])) == LABEL
