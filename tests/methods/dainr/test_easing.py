"""Which frames are eased, how far, and that they get their weight back."""

from dataclasses import replace

import torch

from dainr.fields.warped import WarpedCine
from dainr.methods.dainr.easing import ABOVE, LEAST, Easing
from dainr.methods.dainr.objective import Objective
from dainr.operators import FrameData
from tests.methods.dainr.test_objective import CONFIG, NOISE, make, measure

CPU = torch.device("cpu")


def seen(*residuals: float) -> Easing:
    """Frames of which each missed its samples by so many standard deviations of the noise, long enough."""
    easing, numbers = Easing.none(len(residuals), CPU), torch.arange(len(residuals))
    for _ in range(60):
        easing.see(torch.tensor(residuals).square().repeat_interleave(2), numbers, [2] * len(residuals))
    return easing


def test_residuals_are_means_over_a_frame_and_the_last_steps() -> None:
    easing = Easing.none(3, CPU)
    for _ in range(60):  # the first frame in two parts, the last one not at all
        easing.see(torch.tensor([1.0, 3.0, 5.0, 2.0, 2.0]), torch.tensor([0, 0, 1]), [1, 2, 2])
    torch.testing.assert_close(easing.squares, torch.tensor([3.0, 2.0, 1.0]), rtol=1e-4, atol=0)


def test_what_stands_above_the_noise_and_the_other_frames_is_an_excess() -> None:
    torch.testing.assert_close(seen(4.0, 1.0, 1.0, 0.5).excess(), torch.tensor([4 / ABOVE, 1, 1, 1]), rtol=1e-4, atol=0)
    assert (seen(1.1, 1.2, 1.0).excess() == 1).all()
    assert (seen(4.0, 4.1, 3.9).excess() == 1).all()  # alike in all frames: wrong maps, say


def test_a_frame_is_eased_down_to_the_least_and_gets_its_weight_back() -> None:
    easing, numbers = seen(9.0, 1.0, 1.0), torch.arange(3)
    for _ in range(50):
        easing.ease(numbers)
    torch.testing.assert_close(easing.share, torch.tensor([LEAST, 1.0, 1.0]))
    easing.squares = torch.ones(3)
    for _ in range(150):
        easing.ease(numbers)
    assert (easing.share > 0.99).all()


def test_frames_that_are_not_asked_for_stay_as_they_are() -> None:
    easing = seen(9.0, 9.0, 1.0, 1.0, 1.0)
    easing.ease(torch.tensor([1, 2, 1]))
    assert easing.share[0] == 1
    assert easing.share[1] < 1


def test_a_step_between_two_frames_has_the_share_of_the_one_that_is_eased_more() -> None:
    easing = Easing(torch.ones(4), torch.tensor([0.1, 0.8, 0.5, 1.0]))
    assert easing.of_steps(slice(0, 4), cyclic=True).tolist() == torch.tensor([0.1, 0.5, 0.5, 0.1]).tolist()
    assert easing.of_steps(slice(0, 4), cyclic=False).tolist() == torch.tensor([0.1, 0.5, 0.5, 1.0]).tolist()
    assert easing.of_steps(slice(1, 3), cyclic=False).tolist() == torch.tensor([0.5, 0.5]).tolist()


def misfitting(field: WarpedCine) -> FrameData:
    """Samples of the field, but for its second frame, which is three times as bright."""
    data = measure(field)
    first, last = data.starts[1:3]
    data.kspace[:, first:last] *= 3
    return data


def test_a_frame_that_is_held_back_is_eased_and_its_samples_are_not_clipped() -> None:
    field = make()
    data, ours = misfitting(field), Objective(CONFIG, NOISE)
    values = [float(ours(field, data.batch(None, CONFIG.ease_from)).detach()) for _ in range(30)]
    share = ours.state()["share"]
    assert share[1] < 0.5
    assert (share[[0, 2, 3]] == 1).all()
    never = Objective(replace(CONFIG, ease_from=1.0), NOISE)
    same = [float(never(field, data.batch(None, CONFIG.ease_from)).detach()) for _ in range(30)]
    assert values[0] == same[0] == same[-1]
    assert values[-1] > values[0]  # the misfit counts for more
    assert (never.state()["share"] == 1).all()


def test_parts_of_a_step_ease_only_their_own_frames() -> None:
    field = make()
    data, ours = misfitting(field), Objective(CONFIG, NOISE)
    for _ in range(10):
        ours(field, data.batch([0, 1], CONFIG.ease_from))
    before = ours.state()["share"].clone()
    ours(field, data.batch([2, 3], CONFIG.ease_from))
    assert torch.equal(ours.state()["share"], before)
    assert before[1] < 1


def test_a_resumed_objective_goes_on_easing_as_it_was() -> None:
    field = make()
    data, whole, begun, resumed = misfitting(field), *(Objective(CONFIG, NOISE) for _ in range(3))
    for _ in range(6):
        begun(field, data.batch(None, CONFIG.ease_from))
        whole(field, data.batch(None, CONFIG.ease_from))
    resumed.load_state({name: value.clone() for name, value in begun.state().items()})
    batch = data.batch(None, 0.5)
    assert torch.equal(resumed(field, batch), whole(field, batch))
    assert torch.equal(resumed.state()["share"], whole.state()["share"])
