"""PromptMR: what a frame sees of its neighbours, and prompts that follow the features."""

import pytest
import torch

from dainr.networks.unrolled.promptmr import N_PROMPTS, AttentionBlock, PromptMR, PromptMRConfig, Prompts
from tests.networks.unrolled.test_layers import series


@pytest.mark.parametrize("adjacent", [0, 1, 2])
def test_a_frame_sees_its_neighbours_and_no_others(adjacent: int) -> None:
    network = PromptMR(PromptMRConfig(channels=4, adjacent=adjacent))
    x = series(8, matrix=(8, 8))
    other = x.clone()
    other[4] = x[4].flip(1)  # of the same mean and deviation
    with torch.no_grad():
        change = (network(other, None, False)[0] - network(x, None, False)[0]).abs().amax((1, 2, 3))
    assert change.gt(1e-5).nonzero().flatten().tolist() == list(range(4 - adjacent, 4 + adjacent + 1))


@torch.no_grad()
def test_a_prompt_is_the_mean_of_its_maps_by_the_weights_of_the_features() -> None:
    prompts = Prompts(3, 2, 6)
    torch.nn.init.dirac_(prompts.smooth.weight)
    torch.nn.init.zeros_(prompts.smooth.bias)
    x = series(2, 3, (6, 6))
    even = Prompts(3, 2, 6)
    even.load_state_dict(prompts.state_dict())
    torch.nn.init.zeros_(even.weights.weight)
    torch.nn.init.zeros_(even.weights.bias)
    torch.testing.assert_close(even(x), prompts.maps.mean(0).expand(2, -1, -1, -1))
    weights = torch.softmax(prompts.weights(x.mean((2, 3))), 1)
    assert weights.shape == (2, N_PROMPTS) and not torch.allclose(weights[0], weights[1])
    expected = sum(weights[:, n, None, None, None] * prompts.maps[n] for n in range(N_PROMPTS))
    torch.testing.assert_close(prompts(x), expected)
    assert prompts(series(2, 3, (5, 9))).shape == (2, 2, 5, 9)


@torch.no_grad()
def test_attention_weighs_channels_by_their_averages() -> None:
    block, x = AttentionBlock(4), series(2, 4)
    torch.nn.init.zeros_(block.excite.weight)
    torch.nn.init.constant_(block.excite.bias, -100.0)
    torch.testing.assert_close(block(x), x)
    torch.nn.init.constant_(block.excite.bias, 100.0)
    torch.testing.assert_close(block(x), x + block.two(torch.relu(block.one(x))))
