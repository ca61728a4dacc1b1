"""The cheap steps before a fit."""

import torch

from dainr.fields.warped import WarpedCine, WarpedConfig
from dainr.methods.dainr.start import NETWORK_RATE, start_maps
from tests.fields.test_warped import TIMES, hold, smooth_image, unit_maps


def test_the_start_is_near_the_image_it_is_given() -> None:
    image = smooth_image(32)
    torch.manual_seed(0)
    field = WarpedCine(WarpedConfig(width=16, log2_table=12), TIMES, (32, 32), unit_maps((32, 32)), False)
    hold(field.basis, 0.0)
    before = {name: value.clone() for name, value in field.state_dict().items()}
    maps = torch.stack([image, 0.5 * image.flip(0), *torch.zeros(2, 32, 32)])
    start_maps(field, maps, 40, NETWORK_RATE)
    with torch.no_grad():
        canonical, found = field.series([0.0, 2.0], (32, 32)).canonical, field.canonical_maps((32, 32))
    assert float((canonical - image).norm(dim=(1, 2)).max() / image.norm()) < 0.08
    assert float((found - maps).norm(dim=(1, 2)).max() / image.norm()) < 0.08
    changed = {name.split(".")[0] for name, value in field.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"grid", "value"}
