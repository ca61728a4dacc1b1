"""What a training came to: the facts that its weights, card, page and JSON tell."""

from collections import Counter
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import tomli_w

from dainr import __version__
from dainr.fit.state import FitState
from dainr.settings.build import config_dict
from dainr.studies.train.config import TrainConfig
from dainr.studies.train.folder import Request
from dainr.studies.train.index import Index
from dainr.studies.train.loop import Training

LEAST_GAIN = 0.005  # of the error: a state that is no better than the first has learned nothing


@dataclass(frozen=True, eq=False)
class Trained:
    """A training that ended, or was interrupted."""

    request: Request
    config: TrainConfig
    index: Index
    state: FitState
    parameters: int
    device: str
    first_errors: list[float]  # of the validation scans
    best_errors: list[float]

    @property
    def sizes(self) -> dict[str, Any]:
        """Settings of the network."""
        return config_dict(self.config.network)

    @property
    def before(self) -> float:
        """Error of the validation scans before the first step."""
        return self.state.validations[0].heldout

    @property
    def has_learned(self) -> bool:
        """Whether the validation liked a later state better than the first."""
        return self.state.best_heldout < (1 - LEAST_GAIN) * self.before

    @property
    def apart(self) -> bool:
        """Whether the scans that judge are others than those it was trained with."""
        return self.index.training != self.index.validating

    @property
    def facts(self) -> dict[str, Any]:
        """In figures and words, ready for JSON."""
        return {
            "method": self.request.method,
            "program": f"dainr {__version__}",
            "loss": self.config.learning.loss,
            "seed": self.config.seed,
            "parameters": self.parameters,
            "steps": self.state.step,
            "best_step": self.state.best_step,
            "stopped": self.state.stopped,
            "seconds": round(self.state.seconds, 1),
            "training_scans": len(self.index.training),
            "validation_scans": len(self.index.validating),
            "skipped_scans": len(self.index.skipped),
            "validation_error_before": round(self.before, 6),
            "validation_error": round(self.state.best_heldout, 6),
        }

    @property
    def time(self) -> str:
        """How long the steps took, in words."""
        seconds = self.state.seconds
        parts = [("h", 3600), ("min", 60), ("s", 1)]
        unit, size = next((part for part in parts if seconds >= 2 * part[1]), parts[-1])
        return f"{seconds / size:.3g} {unit}"

    @property
    def settings(self) -> str:
        """Every setting, as TOML."""
        return tomli_w.dumps(config_dict(self.config))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The validation scans and their errors."""
        errors = zip(self.index.validating, self.first_errors, self.best_errors, strict=True)
        return [asdict(sample) | {"before": first, "after": best} for sample, first, best in errors]

    @property
    def data(self) -> dict[str, str]:
        """What the scans were like, in words."""
        samples = self.index.training
        sampling = Counter(sample.sampling for sample in samples)
        return {
            "sampling": ", ".join(f"{count} of {kind}" for kind, count in sampling.most_common()),
            "matrix": f"{_range([s.matrix[0] for s in samples])} x {_range([s.matrix[1] for s in samples])}",
            "frames": _range([s.frames for s in samples]),
            "readouts per frame": _range([s.readouts_per_frame for s in samples]),
            "coils": _range([s.coils for s in samples]),
            "coils after compression": _range([s.virtual_coils for s in samples]),
            "signal to noise of a sample": _range([s.signal_to_noise for s in samples]),
        }


def trained(training: Training, index: Index, request: Request, config: TrainConfig, device: str) -> Trained:
    """What a training came to."""
    return Trained(
        request=request,
        config=config,
        index=index,
        state=training.state,
        parameters=sum(p.numel() for p in training.network.parameters()),
        device=device,
        first_errors=training.first_errors,
        best_errors=training.best_errors,
    )


def _range(values: list[float]) -> str:
    """The least and the largest, and between them the middle one where they differ."""
    least, middle, largest = (f"{value:g}" for value in (min(values), median(values), max(values)))
    return least if least == largest else f"{least} to {largest} (half above {middle})"
