from benchmarks.features import candidates


def test_a_preset_is_tried_without_features_and_with_every_weights_there_are() -> None:
    found = candidates("default")
    assert [c.name for c in found[:3]] == [
        "`default`, no features",
        "`default`, weights `random`",
        "`default`, weights `mdsr_cine`",
    ]
    assert "prior=none" in found[0].options
    assert all("prior=mdsr" in c.options for c in found[1:])
