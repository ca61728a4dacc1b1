"""CRNN-MRI and CRUNet-MR: what one cascade leaves to the next, and the direction of time."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from dainr.errors import BadRequest
from dainr.networks.unrolled.crnn import CRNN, CRNNConfig
from dainr.networks.unrolled.crunet import CRUNet, CRUNetConfig
from dainr.networks.unrolled.layers import ResidualRegulariser
from tests.networks.unrolled.test_layers import series

X = series(matrix=(9, 8))


@pytest.fixture(params=["crnn", "two cells", "crunet"])
def regulariser(request: pytest.FixtureRequest) -> ResidualRegulariser:
    torch.manual_seed(0)
    if request.param == "crunet":
        return CRUNet(CRUNetConfig(channels=4))
    return CRNN(CRNNConfig(channels=4, shared_directions=request.param == "crnn"))


def hidden_states(regulariser: ResidualRegulariser) -> tuple[Tensor, ...]:
    state: tuple[Tensor, ...] = regulariser(X, None, True)[1]
    return state


@torch.no_grad()
def test_each_hidden_state_matters_to_the_next_cascade(regulariser: ResidualRegulariser) -> None:
    left = hidden_states(regulariser)
    assert len(left) == (4 if isinstance(regulariser, CRNN) else 3)
    out = regulariser(X, left, True)[0]
    for number in range(len(left)):
        changed = tuple(2 * h + 1 if n == number else h for n, h in enumerate(left))
        assert not torch.allclose(regulariser(X, changed, True)[0], out, atol=1e-4), number


@torch.no_grad()
def test_the_last_frame_reaches_the_first_and_the_first_the_last(regulariser: ResidualRegulariser) -> None:
    x = series(16, matrix=(9, 8))
    for changed, seen in ((0, 8), (-1, 7)):
        other = x.clone()
        other[changed] = other[changed].flip(2)  # of the same mean and deviation
        difference = regulariser(other, None, False)[0] - regulariser(x, None, False)[0]
        assert difference[seen].abs().max() > 1e-7, changed


@torch.no_grad()
def test_crnn_is_symmetric_in_time_with_one_cell_for_both_directions() -> None:
    for shared in (True, False):
        torch.manual_seed(0)
        network = CRNN(CRNNConfig(channels=4, shared_directions=shared))
        same = torch.allclose(network(X.flip(0), None, True)[0], network(X, None, True)[0].flip(0), atol=1e-5)
        assert same == shared


def test_crnn_needs_two_cascades() -> None:
    with pytest.raises(BadRequest, match="cascades=1: that is too few"):
        CRNNConfig(cascades=1)


@pytest.mark.parametrize("dilations", ["1,2,4", "1,3,5"])
def test_levels_of_crunet_are_dilated_as_said(dilations: Literal["1,2,4", "1,3,5"]) -> None:
    network = CRUNet(CRUNetConfig(channels=4, dilations=dilations))
    one, two, three = map(int, dilations.split(","))
    found = {name: layer.dilation[0] for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}
    by_level = {
        "coder1": one,
        "merged1": one,
        "coder2": two,
        "joined2": two,
        "merged2": two,
        "bott": three,
        "joined3": three,
    }
    for name, dilation in found.items():
        expected = [d for part, d in by_level.items() if part in name and not name.endswith(("beside", "taps"))]
        assert dilation == (expected[0] if expected else 1), name
