"""Motion: dense displacements, their inverses and compositions, folding, strain, and labels carried along.

A displacement `frame 2 y x` is (x, y) in pixels of its matrix. Two kinds, named as in continuum mechanics:

- Lagrangian: at the points of a reference, to where their tissue is at a time.
- Eulerian: at the points of a time, back to where their tissue is in the reference (a pull-back: the reference seen at
  x + d(x) is the image of that time).

The reference is canonical space, or another time.
"""

from dainr.motion.displacement import Kind, Motion, PullBack, displacement_between
from dainr.motion.inverse import inverted
from dainr.motion.jacobian import determinant
from dainr.motion.sampling import composed, seen

__all__ = ["Kind", "Motion", "PullBack", "composed", "determinant", "displacement_between", "inverted", "seen"]
