"""Linear operators between images and k-space, each with an exact adjoint that is its autograd backward."""

from dainr.operators.acquisition import Acquisition, acquisition
from dainr.operators.batch import Batch, FrameData, FrameModel
from dainr.operators.linear import LinearOperator

__all__ = ["Acquisition", "Batch", "FrameData", "FrameModel", "LinearOperator", "acquisition"]
