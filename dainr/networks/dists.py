"""DISTS, deep image structure and texture similarity (Ding et al., IEEE TPAMI 2022;44:2567, arXiv 2004.07728).

    D(x, y) = 1 - sum_c (alpha_c l_c + beta_c s_c),   sum_c (alpha_c + beta_c) = 1
    l = (2 m_x m_y + c) / (m_x^2 + m_y^2 + c),   s = (2 cov_xy + c) / (var_x + var_y + c)

over the channels c of the image itself and of five stages of VGG16, which halve the size by the root of a smoothed
square instead of the maximum. Means, variances and covariances are over the image; or over a region, of a pixel of a
coarser stage as much as it holds of it. Grey images have three equal colours, and keep their size. 0 is best.

Both parts of its weights are other people's files, installed by `dainr weights import` and known by their SHA-256.
"""

from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
N_CHANNELS = 3 + sum(stage[-1] for stage in CHANNELS)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the colours that VGG16 was trained with
STABLE = 1e-6  # c
VGG16, WEIGHTING = "vgg16", "dists"  # names of the parts when installed
SHA256 = {
    VGG16: "397923af",  # first digits, of torchvision's vgg16-397923af.pth
    WEIGHTING: "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",  # weights.pt of DISTS-pytorch 0.1
}


class Dists(nn.Module):
    """The network, its parameters named as in the files they come from."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_before, self.ends = 3, []
        for stage in CHANNELS:
            layers += [Halved()] if layers else []
            for n in stage:
                layers += [nn.Conv2d(n_before, n, 3, padding=1), nn.ReLU()]
                n_before = n
            self.ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        self.alpha, self.beta = (nn.Parameter(torch.full((1, N_CHANNELS, 1, 1), 0.1)) for _ in range(2))
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(
        self,
        image: Float[Tensor, "frame y x"],
        truth: Float[Tensor, "frame y x"],
        regions: Bool[Tensor, "region y x"],
    ) -> Float[Tensor, "region frame"]:
        """The distance of each image, in [0, 1], from the true one, in each region of them; none is empty."""
        stages = list(zip(self._stages(image), self._stages(truth), strict=True))
        return torch.stack([self._distance(stages, region.to(image.dtype)) for region in regions])

    def _distance(self, stages: list[tuple[Tensor, Tensor]], region: Float[Tensor, "y x"]) -> Float[Tensor, " frame"]:
        likeness = []
        for x, y in stages:
            share = functional.adaptive_avg_pool2d(region[None, None], (x.shape[-2], x.shape[-1]))
            likeness.append(_likeness(x, y, share / share.sum()))
        texture, structure = (torch.cat(parts, 1) for parts in zip(*likeness, strict=True))
        alpha, beta = self.alpha[0, :, 0, 0], self.beta[0, :, 0, 0]
        return 1 - (texture @ alpha + structure @ beta) / (alpha.sum() + beta.sum())

    def _stages(self, image: Float[Tensor, "frame y x"]) -> list[Float[Tensor, "frame channel _ _"]]:
        colours = image[:, None].expand(-1, 3, -1, -1)
        stages, x, begin = [colours], (colours - self.mean) / self.deviation, 0
        for end in self.ends:
            x, begin = self.features[begin:end](x), end
            stages.append(x)
        return stages


class Halved(nn.Module):
    """Half the size: the root of the squares smoothed by (1, 2, 1) / 4 along y and x."""

    def forward(self, x: Float[Tensor, "frame channel y x"]) -> Float[Tensor, "frame channel _ _"]:
        """Every other pixel, from the first."""
        line = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device)
        kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
        return (functional.conv2d(x**2, kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def part_of(sha256: str) -> str | None:
    """Which part of the weights a file is, by its checksum; None of any other."""
    return next((part for part, known in SHA256.items() if sha256.startswith(known)), None)


def read_part(part: str, path: Path) -> dict[str, Tensor]:
    """The tensors of such a file that are used here."""
    tensors, names = torch.load(path, map_location="cpu", weights_only=True), Dists().state_dict()
    return {name: tensors[name].contiguous() for name in names if name.startswith("features.") == (part == VGG16)}


def _likeness(
    x: Float[Tensor, "frame channel y x"], y: Float[Tensor, "frame channel y x"], weight: Float[Tensor, "1 1 y x"]
) -> tuple[Float[Tensor, "frame channel"], Float[Tensor, "frame channel"]]:
    """Of texture, by the means, and of structure, by variances and covariance; the weights add up to one."""

    def mean(values: Tensor) -> Tensor:
        return (weight * values).sum((-2, -1))

    of_x, of_y = mean(x), mean(y)
    x, y = x - of_x[..., None, None], y - of_y[..., None, None]
    texture = (2 * of_x * of_y + STABLE) / (of_x**2 + of_y**2 + STABLE)
    return texture, (2 * mean(x * y) + STABLE) / (mean(x**2) + mean(y**2) + STABLE)
