"""Which scores are wanted: by name, in the order asked for, and how each is written."""

from dataclasses import asdict, dataclass
from typing import Any

from dainr.assess.scores import Evaluation
from dainr.errors import BadRequest, MissingBackend
from dainr.networks.dists import Dists
from dainr.networks.weights import load_dists

REGIONS = ("whole", "dynamic", "static")


@dataclass(frozen=True)
class Metric:
    """Its name in a table, how its figure is written, and whether larger is better."""

    heading: str
    form: str
    larger_is_better: bool


METRICS = {
    "psnr": Metric("PSNR dB", "{:.2f}", True),
    "ssim": Metric("SSIM", "{:.4f}", True),
    "nrmse": Metric("NRMSE", "{:.4f}", False),
    "haarpsi": Metric("HaarPSI", "{:.4f}", True),
    "dists": Metric("DISTS", "{:.4f}", False),
}
USUAL = ("psnr", "ssim", "nrmse", "haarpsi")  # those that need no weights


@dataclass(frozen=True, eq=False)
class Wanted:
    """Scores by name, and the network that one of them needs."""

    names: tuple[str, ...] = USUAL
    dists: Dists | None = None

    def record(self, evaluation: Evaluation) -> dict[str, Any]:
        """An evaluation's scores of these names by region, ready for JSON."""
        scores = asdict(evaluation)
        return scores | {region: {name: scores[region][name] for name in self.names} for region in REGIONS}


def choose_metrics(text: str | None) -> Wanted:
    """The scores named in "psnr,dists"; the usual ones of None.

    Raises BadRequest for a name that none has or that is given twice, MissingBackend for DISTS without its weights.
    """
    if text is None:
        return Wanted()
    names = tuple(name.strip().lower() for name in text.split(","))
    for name in names:
        if name not in METRICS:
            raise BadRequest(f"--metrics {text}", f"there is no score {name!r}", f"choose of {', '.join(METRICS)}")
    if len(set(names)) < len(names):
        raise BadRequest(f"--metrics {text}", "it names a score twice", "name each once")
    dists = load_dists() if "dists" in names else None
    if "dists" in names and dists is None:
        raise MissingBackend(
            "--metrics dists",
            "its weights are not installed",
            "get vgg16-397923af.pth (download.pytorch.org/models) and weights.pt (in DISTS-pytorch 0.1 of PyPI), and"
            " run dainr weights import on each",
        )
    return Wanted(names, dists)
