"""Weights of unrolled networks by a name that `dainr weights` lists, or by a file's path."""

from dainr.errors import BadRequest
from dainr.networks.unrolled.file import StoredNetwork, read_network, save_network
from dainr.networks.weights import weights_path

__all__ = ["StoredNetwork", "load_network", "save_network"]


def load_network(weights: str, method: str) -> StoredNetwork:
    """Weights by a name that `dainr weights` lists, or a file's path.

    Raises BadRequest when there is no such file, when it is damaged or not finite, and when it holds another method's.
    """
    stored = read_network(weights_path(weights))
    if stored.method != method:
        raise BadRequest(
            f"weights {weights}", f"they are of method {stored.method or 'none'}", f"give weights of {method}"
        )
    return stored
