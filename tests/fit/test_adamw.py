"""The step is that of torch's AdamW, and making it does not import torch's compiler."""

import subprocess
import sys

import torch

from dainr.fit.adamw import EPSILON, AdamW


def parameters() -> list[torch.nn.Parameter]:
    random = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(n, 3, generator=random)) for n in (2, 4, 5)]


def groups(three: list[torch.nn.Parameter]) -> list[dict]:
    return [
        {"params": three[:1], "lr": 0.1, "weight_decay": 0.3},
        {"params": three[1:], "lr": 0.02, "weight_decay": 0.0},
    ]


def descend(optimiser: AdamW | torch.optim.AdamW, three: list[torch.nn.Parameter], steps: range) -> None:
    for step in steps:
        optimiser.zero_grad()
        part = three if step % 2 else three[:2]  # the last parameter has no gradient in every second step
        sum((p**2).sum() * (step + 1) for p in part).backward()  # type: ignore[union-attr]
        optimiser.step()


def test_steps_are_those_of_torch() -> None:
    ours, theirs = parameters(), parameters()
    descend(AdamW(groups(ours), (0.9, 0.95)), ours, range(6))
    descend(torch.optim.AdamW(groups(theirs), betas=(0.9, 0.95), eps=EPSILON, fused=True), theirs, range(6))
    for mine, its, start in zip(ours, theirs, parameters(), strict=True):
        assert torch.equal(mine, its)
        assert not torch.equal(mine, start)


def test_it_goes_on_from_a_saved_state() -> None:
    whole, halves = parameters(), parameters()
    descend(AdamW(groups(whole), (0.9, 0.95)), whole, range(6))
    first = AdamW(groups(halves), (0.9, 0.95))
    descend(first, halves, range(3))
    second = AdamW(groups(halves), (0.9, 0.95))
    second.load_state({n: {k: v.clone() for k, v in slots.items()} for n, slots in first.state.items()})
    descend(second, halves, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, halves, strict=True))


def test_neither_making_nor_stepping_imports_the_compiler() -> None:
    code = (
        "import sys, torch; from dainr.fit.adamw import AdamW; p = torch.nn.Parameter(torch.ones(3));"
        " o = AdamW([{'params': [p], 'lr': 0.1, 'weight_decay': 0.0}], (0.9, 0.99));"
        " p.sum().backward(); o.step(); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
