"""Images as a scanner takes them."""

from typing import Any

import ismrmrd
import numpy as np
import pytest

from dainr.cine import Cine
from dainr.io.scans.patient_axes import placement
from dainr.serve.images import Measured, Series, bits_stored, first_heads, images_of, unit_of
from tests.io import AFFINE, random_complex

SERIES = Series("cine", "dainr", ["good: all is well"], "int16")


def head(number: int, centre: Any) -> bytes:
    one = ismrmrd.Acquisition.from_array(np.zeros((1, 4), np.complex64))
    one.position[:] = centre
    one.idx.slice, one.idx.contrast, one.measurement_uid = number, 2, 77
    one.acquisition_time_stamp, one.scan_counter = 1000 * (number + 1), number
    one.patient_table_position[:] = 0, 0, -1200.5
    one.user_int[3], one.user_float[2] = 5, 1.5
    return bytes(one.getHead())


def cine(n_slices: int = 2, **changes: Any) -> Cine:
    data = random_complex(n_slices, 3, 8, 12)
    parts: dict[str, Any] = {"data": data, "times": np.array([0.1, 0.2, 0.3]), "affine": AFFINE} | changes
    return Cine(fov_mm=(160.0, 240.0), slice_thickness_mm=7.0, **parts)


def centres() -> list[np.ndarray]:
    first, directions = placement(AFFINE, (8, 12))
    return [first + index * directions[2] * np.linalg.norm(AFFINE[:3, 2]) for index in range(2)]


def test_images_take_over_what_their_slice_was_measured_with() -> None:
    there = centres()
    measured = Measured(first_heads([head(0, there[1]), head(1, there[0])]))  # numbers in another order than places
    images = list(images_of(cine(), SERIES, measured))
    assert [one.image_index for one in images] == [1, 2, 3, 4, 5, 6]
    assert [(one.slice, one.phase) for one in images] == [(s, f) for s in range(2) for f in range(3)]
    assert [one.acquisition_time_stamp for one in images] == [2000, 2040, 2080, 1000, 1040, 1080]
    assert [one.physiology_time_stamp[0] for one in images] == [0, 40, 80] * 2
    one = images[0]
    assert (one.contrast, one.measurement_uid, one.user_int[3], one.user_float[2]) == (2, 77, 5, 1.5)
    np.testing.assert_allclose(one.patient_table_position[:], (0, 0, -1200.5))
    np.testing.assert_allclose(one.position[:], there[0], atol=1e-4)
    assert (one.image_type, one.image_series_index) == (ismrmrd.IMTYPE_MAGNITUDE, 1)
    assert one.meta["ImageComment"][1] == "good: all is well"
    assert one.meta["Keep_image_geometry"] == 1
    assert ismrmrd.Image.from_bytes(one.to_bytes()) == one


def test_slices_without_places_go_by_their_numbers() -> None:
    nowhere = first_heads([head(1, (0, 0, 0)), head(0, (0, 0, 0))])
    images = list(images_of(cine(affine=None), SERIES, Measured(nowhere)))
    assert [one.acquisition_time_stamp for one in images[::3]] == [1000, 2000]


@pytest.mark.parametrize(("bits", "largest"), [(None, 32767), (12, 4095), (16, 32767)])
def test_16_bits_are_used_as_far_as_the_scanner_stores_them(bits: int | None, largest: int) -> None:
    there = cine()
    images = list(images_of(there, SERIES, Measured(first_heads([head(0, (0, 0, 0))]), bits)))
    pixels = np.array([one.data[0, 0] for one in images])
    assert pixels.dtype == np.int16
    assert pixels.max() == largest
    scale = float(images[0].meta["dainr_scale"])
    np.testing.assert_allclose(pixels / scale, np.abs(there.data).reshape(pixels.shape), atol=0.51 / scale)
    assert 0 < int(images[0].meta["WindowWidth"]) <= largest


@pytest.mark.parametrize(("pixels", "dtype"), [("float", np.float32), ("complex", np.complex64)])
def test_other_pixels_are_those_of_the_cine(pixels: str, dtype: type) -> None:
    there = cine()
    measured = Measured(first_heads([head(0, (0, 0, 0))]))
    images = list(images_of(there, Series("cine", "dainr", [], pixels), measured))
    got = np.array([one.data[0, 0] for one in images])
    assert got.dtype == dtype
    np.testing.assert_array_equal(np.abs(got), np.abs(there.data).reshape(got.shape))


def test_an_image_of_zeros_is_no_division_by_them() -> None:
    empty = cine(data=np.zeros((1, 3, 8, 12), np.complex64))
    images = list(images_of(empty, SERIES, Measured(first_heads([head(0, (0, 0, 0))]))))
    assert not images[0].data.any()


def test_views_of_their_own_places_are_numbered_on() -> None:
    planes = np.stack([AFFINE, AFFINE[[1, 2, 0, 3]]])
    images = list(images_of(cine(affine=None, planes=planes), SERIES, Measured(first_heads([head(0, (0, 0, 0))]))))
    assert [one.slice for one in images] == [0] * 3 + [1] * 3
    assert list(images[0].position) != list(images[3].position)


@pytest.mark.parametrize(
    ("document", "bits"),
    [
        (b"<userParameterLong><name>BitsStored</name><value>12</value></userParameterLong>", 12),
        (b"<a:name>BitsStored</a:name>\n <a:value> 16 </a:value>", 16),
        (b"<name>BitsStored</name><value>99</value>", None),
        (b"", None),
    ],
)
def test_the_bits_that_a_scanner_stores_are_read(document: bytes, bits: int | None) -> None:
    assert bits_stored(document) == bits


def test_the_unit_of_time_stamps_is_that_of_the_run() -> None:
    assert unit_of({"scan": {"time_unit": "ms"}}) == 1e-3
    assert unit_of({}) == 2.5e-3
