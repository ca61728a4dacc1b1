"""One client from its first message to the last: its scan is received, fitted, and the images are sent back."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from dainr.errors import BadScan, DainrError, Interrupted
from dainr.io.scans.ismrmrd_messages import StreamEnded
from dainr.runs.folder import RunFolder
from dainr.runs.run import has_cine
from dainr.serve.asked import Order
from dainr.serve.fits import FitFailed, Job, Loan, Place
from dainr.serve.house import House
from dainr.serve.peer import Left, Peer
from dainr.serve.receiving import Received
from dainr.serve.sending import SlicesSent, has_images, pixels_of, send_run, send_slice, version_of
from dainr.serve.slices import written
from dainr.serve.store import PREVIEW, RUN, Recorder, SessionFolder, Status

log = logging.getLogger(__name__)

LOOK_S = 0.02
GONE, STOPPED = "the client has gone", "the server was stopped"


class Session:
    """A session with a client; without one, what is left to do of a session that another server began."""

    def __init__(self, house: House, peer: Peer | None, folder: SessionFolder) -> None:
        self._house, self._peer, self._folder = house, peer, folder
        self._sent = set[str]()  # the runs whose images the client has
        self._slices_sent = set[int]()
        self._loan: Loan | None = None  # of a place, while the scan is received
        self._ahead = ExitStack()  # ends the sending of slices that are made while others are received
        self._received, self._sha256 = Received(), ""
        self._given_up = threading.Event()  # the client has left, or the server is to end
        self._lock = threading.Lock()
        self._ends_fit: Callable[[], Any] = lambda: None
        self._facts: dict[str, Any] = {"session": folder.name, "client": None if peer is None else peer.name}
        self._seconds: dict[str, float] = {}
        self._all_there = time.monotonic()

    def run(self) -> str:
        """The session, to its end, of which one line in the log tells; why it failed, or nothing."""
        status: Status = "failed"
        why = ""
        try:
            status = self._run()
        except Left:
            status, why = "left", GONE
        except Interrupted:
            stopped = self._house.stopping.is_set()
            status, why = ("received", STOPPED) if stopped else ("left", GONE)
        except StreamEnded as error:
            status, why = "broken", STOPPED if self._house.stopping.is_set() else str(error)
        except (DainrError, FitFailed) as error:
            status, why = "broken" if isinstance(error, BadScan) else "failed", self._in_words(error)
            if isinstance(error, FitFailed) and self._house.stopping.is_set():  # whoever stops both may end it first
                status, why = "received", STOPPED
        except Exception as error:  # a mistake of the program's own must not end the server
            log.exception("session %s", self._folder.name)
            why = f"the server made a mistake ({type(error).__name__}: {error})"
        self._end(status, why)
        return why

    def _in_words(self, error: Exception) -> str:
        """What an error says, without where things lie on this machine."""
        return str(error).removeprefix("dainr: ").replace(f"{self._folder.path}/", "")

    @property
    def has_scan(self) -> bool:
        """Whether the scan is there as a whole."""
        return self._peer is None or "receive" in self._seconds

    def give_up(self) -> None:
        """End the session early: a fit saves its state."""
        with self._lock:
            self._given_up.set()
            self._ends_fit()
        if self._peer is not None and not self.has_scan:
            self._peer.stop_reading()

    def _client_has_left(self) -> None:
        if RUN not in self._sent:
            self.give_up()

    def _run(self) -> Status:
        if self._peer is None:
            self._fit(self._folder.notes.order)
            return "done"
        with self._ahead:
            try:
                with self._timed("receive"):
                    if not self._receive(self._peer):
                        return "empty"
                self._all_there = time.monotonic()
                with self._peer.watched(self._client_has_left):
                    self._fit(self._received.order or Order())
            finally:
                if self._loan is not None:  # no whole scan has come
                    self._loan.end()
        return "done"

    def _receive(self, peer: Peer) -> bool:
        """Take the scan; whether one came."""
        recorder = Recorder(self._folder.stream)
        try:
            came = self._received.take_all(peer.messages(recorder), peer.name, self._house.offer, self._begin_ahead)
        finally:
            sha256 = recorder.close()
            self._facts |= {
                "config": self._received.config,
                "readouts": self._received.readouts,
                "waveforms": self._received.waveforms,
                "bytes": self._folder.stream.stat().st_size,
            }
        if came and self._house.keep:
            self._folder.note(status="received", order=self._received.order, sha256=sha256)
        self._sha256 = sha256
        return came

    def _begin_ahead(self, order: Order) -> None:
        """Where a place is free, have its process read along, and make and send the slices that are complete."""
        loan = None if order.preview else self._house.places.borrow()
        if loan is not None:
            with self._lock:
                self._loan, self._ends_fit = loan, loan.end
            self._ahead.enter_context(self._sending(order, RUN))
            loan.begin(self._job(RUN, order.options))

    def _fit(self, order: Order) -> None:
        """Preview and fit, each sent as soon as it is there."""
        loan, self._loan = self._loan, None
        worker = None if loan is None else loan.keep()
        if loan is not None and worker is not None:
            try:
                with self._timed("fit"):
                    loan.place.finish(worker, self._house.limits.fit_s, self._ending)
                self._ahead.close()
                self._send(order, RUN)
            finally:
                self._house.places.give_back(loan.place)
            return
        self._ahead.close()
        with self._timed("wait"):
            place = self._house.places.take(self._given_up, self._say_wait)
        try:
            if order.preview and self._peer is not None:
                try:
                    self._fit_into(place, PREVIEW, self._house.offer.preview_options(order), order)
                except FitFailed as error:
                    log.warning("session %s: its preview failed: %s", self._folder.name, error)
            self._fit_into(place, RUN, order.options, order)
        finally:
            self._house.places.give_back(place)

    def _say_wait(self) -> None:
        if self._peer is not None:
            self._peer.say("dainr: other scans come first")

    def _fit_into(self, place: Place, name: str, options: Mapping[str, Any], order: Order) -> None:
        """A run, its images sent as soon as they are there: its report comes after them."""
        run = self._folder.path / name
        folder = RunFolder(run)
        resume = folder.is_run
        if resume and folder.is_complete and has_cine(folder):
            return
        with self._timed("preview" if name == PREVIEW else "fit"), self._sending(order, name):
            place.fit(self._job(name, options, resume=resume), self._house.limits.fit_s, self._ending)
        self._send(order, name)

    def _job(self, name: str, options: Mapping[str, Any], resume: bool = False) -> Job:
        return Job(
            str(self._folder.stream),
            self._folder.notes.sha256 or self._sha256,
            str(self._folder.path / name),
            dict(options),
            resume,
            str(self._folder.slices) if name == RUN and self._peer is not None else "",
        )

    @contextmanager
    def _sending(self, order: Order, name: str) -> Iterator[None]:
        """A block in which the images of a run, and its slices before them, are sent once they are there."""
        over = threading.Event()

        def send_when_there() -> None:
            run, looked_at = self._folder.path / name, ""
            try:
                while (now := version_of(run)) == looked_at or not has_images(run):
                    looked_at = now
                    if name == RUN:
                        self._send_slices(order)
                    if over.wait(LOOK_S):
                        return
                self._send(order, name)
            except Left:
                self.give_up()
            except DainrError as error:  # it is tried again, and told, when the run has ended
                log.warning("session %s: %s", self._folder.name, error)

        thread = threading.Thread(target=send_when_there, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def _ending(self, end: Any) -> Iterator[None]:
        """A block in which giving the session up ends its fit."""
        with self._lock:
            self._ends_fit = end
            if self._given_up.is_set():
                end()
        try:
            yield
        finally:
            with self._lock:
                self._ends_fit = lambda: None

    def _send_slices(self, order: Order) -> None:
        """Send slices that are made before the others; those in 16 bits wait for them, for all have one scale."""
        new = [index for index in written(self._folder.slices) if index not in self._slices_sent]
        measured = self._received.measured
        if not new or self._peer is None or pixels_of(order, measured) == "int16":
            return
        for index in new:
            with self._timed("send"):
                self._peer.begin(self._received.document or b"")
                count = send_slice(self._peer, self._folder.slices, index, order, measured)
            self._slices_sent.add(index)
            self._facts["images"] = self._facts.get("images", 0) + count
            self._facts["slices_before_others"] = len(self._slices_sent)

    def _send(self, order: Order, name: str) -> None:
        if self._peer is None or name in self._sent:
            return
        with self._timed("send"):
            self._peer.begin(self._received.document or b"")
            before = SlicesSent(self._folder.slices, frozenset(self._slices_sent if name == RUN else ()))
            run = self._folder.path / name
            sent = send_run(self._peer, run, order, self._received.measured, name == PREVIEW, before)
        self._facts["images"] = self._facts.get("images", 0) + sent.images
        self._facts["verdict"] = sent.verdict
        self._sent.add(name)
        if name == RUN:
            self._seconds["images"] = round(time.monotonic() - self._all_there, 3)
            self._peer.close()

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self._seconds[what] = round(self._seconds.get(what, 0.0) + time.monotonic() - begun, 3)

    def _end(self, status: Status, why: str) -> None:
        """Tell the client and the log how it ended, and keep or remove what is on disk."""
        if self._peer is not None and why and status != "left":
            with suppress(Left):
                self._peer.say(f"dainr: {why}")
        line = self._facts | {"ended": status} | ({"why": why} if why else {}) | {"seconds": self._seconds}
        log.log(logging.DEBUG if status == "empty" else logging.INFO, "%s", json.dumps(line))
        if self._peer is not None:
            self._peer.end()
        self._folder.remove_slices()
        try:
            if not self._house.keep or not (self._peer is None or self._received.readouts):
                self._folder.remove()
            elif status != "received":
                self._folder.store()
                self._folder.note(status=status)
        except (DainrError, OSError) as error:
            log.warning("session %s: its folder cannot be written: %s", self._folder.name, error)
