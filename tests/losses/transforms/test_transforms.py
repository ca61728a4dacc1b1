"""Transforms of a series: inverses, areas, edges, time, complex values kept apart, gradients, draws."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from dainr.errors import BadRequest
from dainr.losses.transforms import (
    Diffeomorphism,
    InTurn,
    Rotation,
    TimeShift,
    Transform,
    draw,
    draw_diffeomorphism,
)
from dainr.losses.transforms.diffeomorphism import SIZE, _pixels
from tests.helper import random_complex

CPU = torch.device("cpu")
MATRIX = (24, 31)
N_FRAMES = 5


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(n_frames: int, matrix: tuple[int, int]) -> Tensor:
    """Frames with nothing finer than an eighth of the field of view, and nothing at its edge."""
    y, x = (torch.linspace(-1, 1, n) for n in matrix)
    bump = torch.exp(-6 * (y[:, None] ** 2 + x**2))
    wave = torch.exp(1j * (2 * x + 3 * y[:, None]))
    return torch.stack([bump * wave * (1 + 0.2 * t) for t in range(n_frames)])


def some(matrix: tuple[int, int] = MATRIX, cyclic: bool = True) -> dict[str, Transform]:
    plane = draw_diffeomorphism(generator(1), matrix)
    return {
        "shift": TimeShift(2, cyclic),
        "rotation": Rotation(25.0, matrix, CPU),
        "diffeomorphism": plane,
        "in turn": InTurn(plane, TimeShift(2, cyclic)),
    }


each = pytest.mark.parametrize("kind", list(some()))


@each
@pytest.mark.parametrize("matrix", [(48, 48), (41, 60)])
def test_the_inverse_takes_back(kind: str, matrix: tuple[int, int]) -> None:
    images, transform = smooth(N_FRAMES, matrix), some(matrix)[kind]
    there = transform(images)
    assert (there - images).norm() > 0.1 * images.norm()
    assert (transform.inverse()(there) - images).norm() < 0.01 * images.norm()


@each
def test_what_is_imaginary_stays_so(kind: str) -> None:
    images = random_complex(N_FRAMES, *MATRIX).real
    transform = some()[kind]
    of_real, of_imaginary = transform(images + 0j), transform(1j * images)
    assert not of_real.imag.any()
    assert not of_imaginary.real.any()
    torch.testing.assert_close(of_imaginary, 1j * of_real)


@each
def test_each_frame_stays_one_frame(kind: str) -> None:
    tags = torch.arange(1.0, N_FRAMES + 1) + 1j * torch.arange(101.0, N_FRAMES + 101)
    transform = some()[kind]
    middle = transform(tags[:, None, None].expand(-1, *MATRIX).contiguous())[:, 10:15, 10:20]
    expected = tags.roll(2) if "shift" in kind or "turn" in kind else tags
    torch.testing.assert_close(middle, expected[:, None, None].expand_as(middle))


@each
def test_gradients_are_those_of_a_linear_map(kind: str) -> None:
    transform, x = some()[kind], random_complex(N_FRAMES, *MATRIX).requires_grad_()
    y, other = random_complex(N_FRAMES, *MATRIX, seed=1), random_complex(N_FRAMES, *MATRIX, seed=2)
    (gradient,) = torch.autograd.grad((transform(x) * y.conj()).real.sum(), x)
    forward = (transform(other) * y.conj()).real.sum()
    torch.testing.assert_close((other * gradient.conj()).real.sum(), forward, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("frames", [1, 3, -2])
def test_a_shift_wraps_only_where_the_scan_is_cyclic(frames: int) -> None:
    images = torch.arange(float(N_FRAMES)).reshape(-1, 1, 1) + 0j
    wrapped, reflected = (TimeShift(frames, cyclic)(images).real.flatten().tolist() for cyclic in (True, False))
    assert wrapped == [(t - frames) % N_FRAMES for t in range(N_FRAMES)]
    assert reflected == {1: [1, 0, 1, 2, 3], 3: [3, 2, 1, 0, 1], -2: [2, 3, 4, 3, 2]}[frames]


@pytest.mark.parametrize("n", [16, 17])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turns_of_90_degrees_only_reorder_pixels(n: int, turns: int) -> None:
    images = random_complex(2, n, n)
    rotation = Rotation(90.0 * turns, (n, n), CPU)
    padded = torch.zeros(2, n + 1 - n % 2, n + 1 - n % 2, dtype=images.dtype)  # odd, so that pixel n // 2 is its middle
    padded[:, :n, :n] = images
    expected = torch.rot90(padded, -turns, (1, 2))[:, :n, :n]  # x turns towards y, which points down
    assert int((expected != 0).sum()) >= 2 * (n - 1) ** 2
    assert torch.equal(rotation(images), expected)
    assert torch.equal(rotation(torch.ones_like(images)).real.bool()[0], rotation.inside)


def test_a_rotation_keeps_the_middle_and_turns_x_towards_y() -> None:
    images = torch.zeros(1, 24, 30, dtype=torch.complex64)
    images[0, 12, 15], images[0, 12, 20] = 1, 2
    turned = Rotation(90.0, (24, 30), CPU)(images)
    assert turned[0, 12, 15] == 1
    assert turned[0, 17, 15] == 2


def test_what_leaves_a_rectangle_is_zero_and_not_inside() -> None:
    rotation = Rotation(90.0, (20, 40), CPU)
    turned = rotation(torch.ones(1, 20, 40, dtype=torch.complex64))[0]
    assert not turned[~rotation.inside].any()
    assert (turned[rotation.inside] == 1).all()
    assert int(rotation.inside.sum()) == 20 * 20
    small = Rotation(10.0, (20, 40), CPU)
    assert not small.inside[0, 0]
    assert small.inside[10, 20]


@pytest.mark.parametrize("seed", range(8))
def test_a_diffeomorphism_keeps_areas_and_the_edge(seed: int) -> None:
    d = draw_diffeomorphism(generator(seed), (96, 128)).displacement.double()
    for edge in (d[:, 0], d[:, -1], d[:, :, 0], d[:, :, -1]):
        assert not edge.any()
    (xx, xy), (yx, yy) = (
        (0.5 * (p[1:-1, 2:] - p[1:-1, :-2]), 0.5 * (p[2:, 1:-1] - p[:-2, 1:-1])) for p in (d[0], d[1])
    )
    area = (1 + xx) * (1 + yy) - xy * yx
    assert float(area.min()) > 0.9
    assert float(area.max()) < 1.1
    assert float((area - 1).square().mean().sqrt()) < 0.01


def test_velocities_have_the_size_that_is_stated_whatever_the_matrix() -> None:
    for matrix in ((40, 40), (64, 96)):
        g = generator(0)
        energies = [
            d.velocity(_pixels(matrix, CPU)).square().sum(0).mean()
            for d in (draw_diffeomorphism(g, matrix) for _ in range(200))
        ]
        assert float(torch.stack(energies).mean().sqrt()) == pytest.approx(SIZE * min(matrix), rel=0.1)


def test_draws_follow_the_published_chances() -> None:
    g = generator(0)
    drawn = [draw(g, (16, 16), 9, True) for _ in range(400)]
    counts = Counter(type(t) for t in drawn)
    assert counts[TimeShift] == pytest.approx(200, abs=40)
    assert counts[Rotation] == pytest.approx(100, abs=35)
    assert counts[Diffeomorphism] == pytest.approx(100, abs=35)
    assert {t.frames for t in drawn if isinstance(t, TimeShift)} == set(range(1, 9))


def test_draws_in_turn_end_with_a_shift() -> None:
    g = generator(0)
    drawn = [draw(g, (16, 16), 4, False, in_turn=True) for _ in range(40)]
    assert {type(t.first) for t in drawn if isinstance(t, InTurn)} == {Rotation, Diffeomorphism}
    assert {t.then.frames for t in drawn if isinstance(t, InTurn) and isinstance(t.then, TimeShift)} == {
        -3, -2, -1, 1, 2, 3
    }  # fmt: skip
    assert all(isinstance(t, InTurn) for t in drawn)


@pytest.mark.parametrize("in_turn", [False, True])
def test_kinds_can_be_switched_off(in_turn: bool) -> None:
    g = generator(0)
    for kind, expected in (("shift", TimeShift), ("rotation", Rotation), ("diffeomorphism", Diffeomorphism)):
        kinds = {type(draw(g, (16, 16), 4, True, (kind,), in_turn)) for _ in range(5)}  # type: ignore[arg-type]
        assert kinds == {expected}
    assert TimeShift not in {type(draw(g, (16, 16), 4, True, ("rotation", "diffeomorphism"))) for _ in range(20)}


def test_the_same_generator_draws_the_same() -> None:
    images = random_complex(4, 16, 16)
    for seed in range(6):
        first, second = (draw(generator(seed), (16, 16), 4, True, in_turn=True)(images) for _ in range(2))
        assert torch.equal(first, second)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(BadRequest, match="off"):
        draw(generator(0), (16, 16), 4, True, ())
    with pytest.raises(BadRequest, match="single frame"):
        draw(generator(0), (16, 16), 1, True)
    draw(generator(0), (16, 16), 1, True, ("rotation",))
