"""One window of the bicubic warp in vector registers: four rows of four complex numbers, eight real ones each.

What LLVM makes of loops this short is scalar, so the vectors are written out, as LLVM's own: they run on any processor.
Weights along an axis are cubic in the place between two pixels, t: w_k(t), k = -1, 0, 1, 2 (Keys, a = -3/4).
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

A = -0.75
# of every neighbour: the coefficients of 1, t, t^2 and t^3
WEIGHTS = ((0, A, -2 * A, A), (1, 0, -(A + 3), A + 2), (0, -A, 2 * A + 3, -(A + 2)), (0, 0, A, -A))
LANES = 8
ROW = ir.VectorType(ir.FloatType(), LANES)
REAL, INTEGER = types.float32, types.int64
FUSED = ("contract",)
_intrinsic: Any = intrinsic  # whose types are those of the generator, not of the call


@_intrinsic
def window_value(context, image, at, row, tx, ty):  # type: ignore[no-untyped-def]
    """The value (re, im) between pixels; a window begins at number `at` of an image with `row` numbers a row."""
    signature = types.UniTuple(REAL, 2)(image, INTEGER, INTEGER, REAL, REAL)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        image, at, row, tx, ty = arguments
        x, y = _cubic(builder, tx), _cubic(builder, ty)
        pixels = _rows(context, builder, signature.args[0], image, at, row)
        total = _sum(builder, [_times(builder, _lane(builder, y, i), builder.load(p, align=4)) for i, p in pixels])
        real, imaginary = _pair(builder, _times(builder, total, x))
        return context.make_tuple(builder, signature.return_type, [real, imaginary])

    return signature, generate


@_intrinsic
def window_gradient(context, image, to_image, at, row, tx, ty, real, imaginary):  # type: ignore[no-untyped-def]
    """Adds the gradient of a value to the window's pixels; its gradients with respect to tx and ty."""
    signature = types.UniTuple(REAL, 2)(image, to_image, INTEGER, INTEGER, REAL, REAL, REAL, REAL)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        image, to_image, at, row, tx, ty, real, imaginary = arguments
        x, y = _cubic(builder, tx), _cubic(builder, ty)
        gradient = _alternate(builder, real, imaginary)
        to_window, along_x, along_y = _times(builder, x, gradient), [], []
        slope_x, slope_y = _times(builder, _slope(builder, tx), gradient), _slope(builder, ty)
        pixels = _rows(context, builder, signature.args[0], image, at, row)
        written = _rows(context, builder, signature.args[1], to_image, at, row)
        for (i, pixel), (_, place) in zip(pixels, written, strict=True):
            value, weight = builder.load(pixel, align=4), _lane(builder, y, i)
            along_x.append(_times(builder, weight, value))
            along_y.append(_times(builder, _lane(builder, slope_y, i), value))
            added = builder.fadd(builder.load(place, align=4), _times(builder, weight, to_window), flags=FUSED)
            builder.store(added, place, align=4)
        sums = (
            builder.fadd(*_pair(builder, _times(builder, _sum(builder, values), weight)))
            for values, weight in ((along_x, slope_x), (along_y, to_window))
        )
        return context.make_tuple(builder, signature.return_type, list(sums))

    return signature, generate


def _cubic(builder: Any, t: Any) -> Any:
    """The weights of the four neighbours, each twice."""
    t = _splat(builder, t)
    value = _constants(3)
    for power in (2, 1, 0):
        value = builder.fadd(_times(builder, value, t), _constants(power), flags=FUSED)
    return value


def _slope(builder: Any, t: Any) -> Any:
    """Their derivatives by t."""
    t = _splat(builder, t)
    value = _constants(3, 3)
    for power in (2, 1):
        value = builder.fadd(_times(builder, value, t), _constants(power, power), flags=FUSED)
    return value


def _constants(power: int, factor: int = 1) -> Any:
    return ir.Constant(ROW, [factor * WEIGHTS[lane // 2][power] for lane in range(LANES)])


def _rows(context: Any, builder: Any, kind: Any, array: Any, at: Any, row: Any) -> list[tuple[int, Any]]:
    """Pointers to the rows of a window."""
    data = context.make_array(kind)(context, builder, array).data
    places, place = [], at
    for i in range(LANES // 2):
        pointer = builder.bitcast(builder.gep(data, [place]), ROW.as_pointer())
        places.append((i, pointer))
        place = builder.add(place, row)
    return places


def _times(builder: Any, a: Any, b: Any) -> Any:
    return builder.fmul(a, b, flags=FUSED)


def _sum(builder: Any, values: Sequence[Any]) -> Any:
    total = values[0]
    for value in values[1:]:
        total = builder.fadd(total, value, flags=FUSED)
    return total


def _splat(builder: Any, number: Any) -> Any:
    one = builder.insert_element(ir.Constant(ROW, ir.Undefined), number, ir.IntType(32)(0))
    return _shuffle(builder, one, [0] * LANES)


def _alternate(builder: Any, real: Any, imaginary: Any) -> Any:
    both = ir.Constant(ROW, ir.Undefined)
    for lane, number in enumerate((real, imaginary)):
        both = builder.insert_element(both, number, ir.IntType(32)(lane))
    return _shuffle(builder, both, [0, 1] * (LANES // 2))


def _lane(builder: Any, weights: Any, i: int) -> Any:
    """The weight of a row, in all lanes."""
    return _shuffle(builder, weights, [2 * i] * LANES)


def _pair(builder: Any, values: Any) -> tuple[Any, Any]:
    """The sums of the even and of the odd lanes."""
    while values.type.count > 2:
        n = values.type.count // 2
        lower, upper = (_shuffle(builder, values, list(range(first, first + n))) for first in (0, n))
        values = builder.fadd(lower, upper, flags=FUSED)
    return builder.extract_element(values, ir.IntType(32)(0)), builder.extract_element(values, ir.IntType(32)(1))


def _shuffle(builder: Any, values: Any, lanes: Sequence[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(values, ir.Constant(values.type, ir.Undefined), mask)
