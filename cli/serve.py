"""`dainr serve`: reconstruct what scanners and clients send by the ISMRMRD streaming protocol."""

import logging
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest, DainrError
from dainr.settings.build import parse_seconds
from dainr.settings.presets import DEFAULT_METHOD

from . import options
from .progress import tell

if TYPE_CHECKING:
    from dainr.serve.asked import Offer
    from dainr.serve.limits import Limits
    from dainr.serve.server import Server

LOCAL = ("127.0.0.1", "::1", "localhost")
SIZES = {"MB": 1e6, "GB": 1e9, "TB": 1e12}


@options.shared(leave_out=["frames", "affine", "coil_maps", "density", "noise", "dataset", "oversampling"])
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; others than this machine's own only if named.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 9002,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Scans fitted at once; others wait for their turn.")] = 1,
    presets: Annotated[
        Path | None, typer.Option(help="Folder of .toml files: each is a configuration of its name.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps scans and runs; what a server that ended has left is finished."),
    ] = None,
    images: Annotated[
        str, typer.Option(help="Pixels: int16, float, complex, or auto, int16 for scanners and else float.")
    ] = "auto",
    preview: Annotated[
        str, typer.Option(help="Send images of this configuration first, such as fast or gridding.")
    ] = "",
    limit: Annotated[str, typer.Option(help="Longest time for one fit: 30m, 2h.")] = "2h",
    patience: Annotated[str, typer.Option(help="Longest time between two messages of a client.")] = "10m",
    largest: Annotated[str, typer.Option(metavar="SIZE", help="Most that one scan may take: 500MB, 20GB.")] = "20GB",
    check: Annotated[
        bool,
        typer.Option("--check", help="Send a phantom through a socket, say whether its images are right, end."),
    ] = False,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="One scan from stdin, its images to stdout, as streams of ISMRMRD.")
    ] = False,
    *,
    asked: options.Asked,
) -> None:
    """Reconstruct scans that scanners (FIRE, Open Recon), Gadgetron's client and dainr send stream here.

    Clients ask for a configuration by its name; the options of dainr fit say what is done where they ask for none.

    Example: dainr serve --port 9002 --keep scans --frames-per-cycle 25
    """
    from dainr.serve.limits import Limits
    from dainr.serve.server import Server

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("dainr.serve").setLevel(logging.INFO)
    limits = Limits(
        session_bytes=_parse_size(largest),
        patience_s=parse_seconds(patience, "--patience"),
        fit_s=parse_seconds(limit, "--limit"),
    )
    offer = _offer(asked, images, preview, presets)
    if check:
        _check(offer, limits)
        return
    server = Server(offer, limits, keep, jobs)
    try:
        if stdio:
            _serve_pipes(server, limits)
        else:
            _serve(server, host, port)
    finally:
        server.close()


def _offer(asked: options.Asked, images: str, preview: str, presets: Path | None) -> "Offer":
    """What clients may ask for. Raises BadRequest where what the server is started with cannot be."""
    from dainr.serve.asked import IMAGES, Offer, Order

    if images not in IMAGES:
        raise BadRequest(f"--images {images}", "that is not one of its values", f"choose {' or '.join(IMAGES)}")
    if presets is not None and not presets.is_dir():
        raise BadRequest(f"--presets {presets}", "there is no such folder", "name one with .toml files")
    offer = Offer(Order(options=dict(asked.given), images=images, preview=preview), presets, _check_options)
    offer.order("", {})
    return offer


def _check_options(given: Mapping[str, Any]) -> None:
    """Raises BadRequest for options of dainr fit that cannot be."""
    from dainr.methods import configure

    asked = options.Asked(given)
    _ = asked.binning, asked.reading
    configure(given.get("method", DEFAULT_METHOD), given.get("preset"), asked.pairs)


def _serve(server: "Server", host: str, port: int) -> None:
    from dainr.serve.server import listen

    listening = listen(host, port)
    _end_with(server)
    tell(f"dainr: listening at {host}:{port}; Ctrl-C ends it, and again at once")
    if host not in LOCAL:
        tell("dainr: the protocol has no authentication: whoever reaches this address can send scans and see images")
    server.serve(listening)


def _serve_pipes(server: "Server", limits: "Limits") -> None:
    from dainr.serve.peer import PipePeer

    why = server.serve_one(PipePeer(sys.stdin.buffer, sys.stdout.buffer, limits))
    if why:
        raise typer.Exit(DainrError.exit_code)


def _end_with(server: "Server") -> None:
    """Let the first Ctrl-C or SIGTERM end the server in order, and the second at once."""
    asked_before = False

    def end(*_: object) -> None:
        nonlocal asked_before
        server.stop(at_once=asked_before)
        asked_before = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _check(offer: "Offer", limits: "Limits") -> None:
    from dainr.serve.check import check_server

    wrong = 0
    for finding in check_server(offer, limits):
        wrong += not finding.right
        typer.echo(f"{finding.name}: {finding.text}{'' if finding.right else '  <- wrong'}")
    if wrong:
        raise typer.Exit(DainrError.exit_code)


def _parse_size(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB|TB)", text.strip().upper())
    if not match or not float(match[1]) > 0:
        raise BadRequest(f"--largest {text}", "it is no size", "write 500MB or 20GB")
    return float(match[1]) * SIZES[match[2]]
