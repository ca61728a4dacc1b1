"""AdamW by torch's fused kernel.

Torch's own class imports its compiler when it is made, one to two seconds of every fit. The step is the same.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

EPSILON = 1e-15  # so that the scale of the data does not matter


class AdamW:
    """Loshchilov & Hutter, ICLR 2019 (arXiv 1711.05101), over groups of parameters.

    A group holds `params`, `lr` and `weight_decay`, and whatever else its owner keeps there. `state` maps a parameter's
    number, counted through all groups, to its slots.
    """

    def __init__(self, groups: list[dict[str, Any]], betas: tuple[float, float]) -> None:
        self.param_groups = [{**group, "params": list(group["params"])} for group in groups]
        self.betas = betas
        self.state: dict[int, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step of every parameter that has a gradient."""
        first = 0
        for group in self.param_groups:
            numbers = [first + i for i, p in enumerate(group["params"]) if p.grad is not None]
            parameters = [group["params"][number - first] for number in numbers]
            first += len(group["params"])
            if not parameters:
                continue
            slots = [self._slots(number, p) for number, p in zip(numbers, parameters, strict=True)]
            adamw(
                parameters,
                [p.grad for p in parameters if p.grad is not None],
                exp_avgs=[s["exp_avg"] for s in slots],
                exp_avg_sqs=[s["exp_avg_sq"] for s in slots],
                max_exp_avg_sqs=[],
                state_steps=[s["step"] for s in slots],
                fused=True,
                amsgrad=False,
                beta1=self.betas[0],
                beta2=self.betas[1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=EPSILON,
                maximize=False,
            )

    def load_state(self, state: dict[int, dict[str, Tensor]]) -> None:
        """Go on from a state that was saved; slots come to the device of their parameters."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        self.state = {n: {k: v.to(parameters[n].device) for k, v in slots.items()} for n, slots in state.items()}

    def _slots(self, number: int, parameter: Tensor) -> dict[str, Tensor]:
        if number not in self.state:
            self.state[number] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self.state[number]


def parameter_groups(model: nn.Module, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for AdamW: those a model names, with their shares of the rate, or all its parameters at the full rate."""
    whole: list[dict[str, Any]] = [{"params": list(model.parameters()), "share": 1.0, "decay": True}]
    named = getattr(model, "parameter_groups", lambda: whole)()
    return [
        {"params": g["params"], "lr": learning_rate, "share": g["share"], "weight_decay": weight_decay * g["decay"]}
        for g in named
    ]
