"""From a text to the configuration that is active on every worker: read, check, publish, keep.

    text ── check in a child ──> findings, or a snapshot in a memory file ── Publish ──> supervisor ──> workers
         ── Published ──> what control shows, the history, the last good one on disk; or nothing has changed

One at a time: who comes while another is on its way waits. What was decided is said in the error log as one line,
whoever asked, and given back as an `Outcome`. Nothing here is needed to serve: control may die at any point, and either
all workers have switched or none.
"""

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from tidegate.config.child import Active, Checked, CheckOrder, check_apart
from tidegate.config.findings import Finding
from tidegate.config.snapshot import Origin, Snapshot
from tidegate.config.source import FileSource, Source, Text, Unreadable, digest_of
from tidegate.memory.region import Region
from tidegate.memory.slot import SlotState
from tidegate.observe.log_writer import Say
from tidegate.process.failure import StartError
from tidegate.process.history import Entry, History, Past, of_snapshot
from tidegate.process.messages import Message, Publish, seal

__all__ = ["Outcome", "Reloader", "Stale"]


_LARGE = 256 << 10  # characters


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt; ``number`` and ``etag`` are those of what is active now."""

    result: Literal["active", "unchanged", "valid", "invalid", "not_published"]
    message: str
    number: int
    etag: str
    by: str
    at_s: float
    took_s: float
    findings: list[Finding] = []
    reasons: list[str] = []


class Stale(Exception):
    """Something else is active than who wants to change it has seen."""


class Reloader:
    """Changes the configuration of the running gateway."""

    def __init__(
        self,
        snapshot: Snapshot,
        region: Region,
        history: History | None,
        *,
        highest_number: int,
        send: Callable[[Message], bool],
        say: Say,
        adopted: Callable[[Snapshot], None],
    ) -> None:
        # what is active
        self.active = snapshot.without_routes()
        self.text = snapshot.source_text
        self.since_s = snapshot.origin.at_s or time.time()
        self.last: Outcome | None = None
        self.history = history
        self._shown: tuple[int, str] = (0, "")
        # how it is changed
        self._region = region
        self._highest = max(highest_number, snapshot.number)
        self._send = send
        self._say = say
        self._adopted = adopted
        self._turn = asyncio.Lock()
        self._replies: dict[int, asyncio.Future[list[str]]] = {}
        self._mask_key: bytes | None = None
        self._is_disk_said = False

    def __repr__(self) -> str:
        return f"<Reloader {self.active.number} {self.active.origin.kind} {self.active.origin.name}>"

    @property
    def source(self) -> Source | None:
        """What a reload reads; None when the configuration did not come from a file."""
        return FileSource(self.active.origin.name) if self.active.origin.name else None

    # -- what can be asked for -------------------------------------------------------------------------------------

    async def reload(self, by: str) -> Outcome:
        """Reads the source again and makes it active if it differs."""
        began_s = time.monotonic()
        async with self._turn:
            source = self.source
            if source is None:
                finding = Finding(file="", message="there is no file to read: the configuration was made by a program")
                return self._settle(began_s, by, Checked(findings=[finding]))
            try:
                text = await asyncio.to_thread(source.read)
            except Unreadable as unreadable:
                return self._settle(began_s, by, Checked(findings=[unreadable.finding]))
            origin = Origin(
                name=self.active.origin.name,
                directory=text.directory,
                is_yaml=text.is_yaml,
                by=by,
                at_s=round(time.time(), 3),
                text_digest=digest_of(text.text),
            )
            return await self._apply(began_s, text, origin)

    async def put(self, text: Text, by: str, *, etags: set[str]) -> Outcome:
        """Makes a text active that came through the API. Raises Stale when what is active has none of ``etags``."""
        began_s = time.monotonic()
        async with self._turn:
            if self.active.etag not in etags and "*" not in etags:
                raise Stale
            return await self._apply(began_s, text, self._origin("api", text.is_yaml, by), is_from_api=True)

    async def roll_back(self, number: int, by: str) -> Outcome | None:
        """Makes a configuration of the history active again, under a new number; None when there is none of that."""
        began_s = time.monotonic()
        async with self._turn:
            entry = None if self.history is None else await asyncio.to_thread(self.history.entry, number)
            if entry is None:
                return None
            origin = self._origin("rollback", entry.origin.is_yaml, by)
            origin = dataclasses.replace(origin, directory=entry.origin.directory)
            text = Text(
                text=entry.text,
                name=f"configuration {number}",
                directory=entry.origin.directory,
                is_yaml=entry.origin.is_yaml,
            )
            return await self._apply(began_s, text, origin, is_from_api=True)

    async def past(self) -> list[Past]:
        """The history, newest first."""
        return [] if self.history is None else await asyncio.to_thread(self.history.past)

    async def check(self, text: Text, by: str) -> Outcome:
        """Says whether a text could become active, and changes nothing."""
        began_s = time.monotonic()
        origin = self._origin("api", text.is_yaml, by)
        checked = await check_apart(await self._order(text, origin, 0, is_from_api=True))
        return self._outcome(began_s, by, "invalid" if checked.verdict == "invalid" else "valid", checked)

    async def shown(self) -> str:
        """What is active, with secrets as digests, as JSON."""
        if self._shown[0] != self.active.number:
            number = self.active.number
            order = CheckOrder(text=None, name="", directory="", active=self._active(), mask_key=await self._key())
            self._shown = (number, (await check_apart(order)).shown)
        return self._shown[1]

    def text_of_request(self, text: str, *, is_yaml: bool) -> Text:
        """A text that was sent; relative paths begin where those of the file do."""
        directory = self.active.origin.directory or os.getcwd()  # noqa: PTH109 - a string is wanted
        return Text(text=text, name="request", directory=directory, is_yaml=is_yaml)

    def concluded(self, number: int, reasons: list[str]) -> None:
        """The supervisor has decided about a number."""
        reply = self._replies.get(number)
        if reply is not None and not reply.done():
            reply.set_result(reasons)

    def abandon(self) -> None:
        """The supervisor is gone: nobody is left who could switch."""
        for number in list(self._replies):
            self.concluded(number, ["the supervisor is gone"])

    async def keep_what_is_active(self) -> None:
        """Writes down what control found active when it started, if nobody did."""
        async with self._turn:
            if self.history is None or not self.text:
                return
            numbers = await asyncio.to_thread(self.history.numbers)
            if not numbers or numbers[-1] != self.active.number:
                await self._keep(of_snapshot(dataclasses.replace(self.active, source_text=self.text)))
        if len(self.text) > _LARGE:
            await self.shown()  # so that the first reload need not read it again

    # -- the way ---------------------------------------------------------------------------------------------------

    async def _apply(self, began_s: float, text: Text, origin: Origin, *, is_from_api: bool = False) -> Outcome:
        number = self._highest = self._highest + 1
        fd = os.memfd_create(f"snapshot-{number}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            order = await self._order(text, origin, number, is_from_api=is_from_api)
            checked = await check_apart(order, fd)
            if checked.verdict == "same":
                self.active = dataclasses.replace(
                    self.active, origin=dataclasses.replace(self.active.origin, text_digest=origin.text_digest)
                )
            if checked.verdict not in ("new", "files") or checked.snapshot is None:
                return self._settle(began_s, origin.by, checked)
            seal(fd)
            reasons = await self._publish(number, fd)
        finally:
            os.close(fd)
        if reasons:
            return self._settle(began_s, origin.by, checked, reasons=reasons)
        before = self.active
        self._adopt(checked.snapshot, checked.shown)
        outcome = self._settle(began_s, origin.by, checked, before=before)
        await self._keep(of_snapshot(checked.snapshot, checked.difference))
        return outcome

    async def _publish(self, number: int, fd: int) -> list[str]:
        """Why the supervisor did not; nothing when it is active."""
        reply: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        try:
            if not self._send(Publish(number=number, fd=fd)):
                return ["the supervisor does not listen"]
            return await reply  # it decides within its deadline
        finally:
            del self._replies[number]

    def _adopt(self, snapshot: Snapshot, shown: str) -> None:
        self.text = snapshot.source_text
        self.active = dataclasses.replace(snapshot, source_text="")
        self.since_s = time.time()
        self._shown = (snapshot.number, shown)
        self._adopted(self.active)

    async def _keep(self, entry: Entry) -> None:
        if self.history is None:
            return
        try:
            await asyncio.to_thread(self.history.add, entry)
            self._is_disk_said = False
        except (OSError, StartError) as error:
            if not self._is_disk_said:
                self._is_disk_said = True
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                self._say(
                    "state_not_written",
                    f"configuration {entry.number} is active, but could not be kept in {self.history.directory}: "
                    f"{reason}; the last good one there is an older one",
                    "error",
                )

    # -- what goes into a check, and what is said of it ------------------------------------------------------------

    async def _order(self, text: Text, origin: Origin, number: int, *, is_from_api: bool) -> CheckOrder:
        return CheckOrder(
            text=text.text,
            name=text.name,
            directory=text.directory,
            is_yaml=text.is_yaml,
            number=number,
            origin=origin,
            active=self._active(needs_text=is_from_api and "digest:" in text.text),
            is_from_api=is_from_api,
            mask_key=await self._key(),
        )

    def _active(self, *, needs_text: bool = False) -> Active:
        now_ns = time.monotonic_ns()
        marks = [self._region.slot(index).statistics() for index in range(self._region.slots)]
        lives = (mark.started_ns for mark in marks if mark.state in (SlotState.STARTING, SlotState.READY))
        oldest_ns = min(lives, default=now_ns)
        shown = self._shown[1] if self._shown[0] == self.active.number else ""
        return Active(
            snapshot=self.active,
            text=self.text if needs_text or not shown else "",
            shown=shown,
            workers_since_s=time.time() - (now_ns - oldest_ns) / 1e9,
        )

    def _origin(self, kind: Literal["api", "rollback"], is_yaml: bool, by: str) -> Origin:
        return Origin(
            kind=kind,
            name=self.active.origin.name,
            directory=self.active.origin.directory,
            is_yaml=is_yaml,
            by=by,
            at_s=round(time.time(), 3),
            text_digest=self.active.origin.text_digest,
        )

    async def _key(self) -> bytes:
        if self._mask_key is None:
            history = self.history
            self._mask_key = os.urandom(32) if history is None else await asyncio.to_thread(history.mask_key)
        return self._mask_key

    def _settle(
        self,
        began_s: float,
        by: str,
        checked: Checked,
        *,
        reasons: list[str] | None = None,
        before: Snapshot | None = None,
    ) -> Outcome:
        """The outcome of an attempt, which is said and remembered."""
        if before is not None:
            outcome = self._outcome(began_s, by, "active", checked)
            was = before.origin
            if was.kind in ("api", "rollback") and self.active.origin.kind == "file":
                way = "the API" if was.kind == "api" else "a rollback"
                more = f"; it replaces configuration {before.number}, which came through {way} (by {was.by})"
                outcome = msgspec.structs.replace(outcome, message=outcome.message + more)
            self._say("reloaded", outcome.message, "info", by=by, etag=outcome.etag, took_s=outcome.took_s)
        else:
            result: Literal["not_published", "unchanged", "invalid"] = (
                "not_published" if reasons else "unchanged" if checked.verdict == "same" else "invalid"
            )
            outcome = self._outcome(began_s, by, result, checked, reasons or [])
            kind, level = ("not_reloaded", "warning") if result != "unchanged" else ("reloaded", "info")
            self._say(kind, outcome.message, level, by=by, etag=outcome.etag, took_s=outcome.took_s)
        self.last = outcome
        return outcome

    def _outcome(
        self,
        began_s: float,
        by: str,
        result: Literal["active", "unchanged", "valid", "invalid", "not_published"],
        checked: Checked,
        reasons: list[str] | None = None,
    ) -> Outcome:
        errors = [finding for finding in checked.findings if finding.severity == "error"]
        number = self.active.number
        messages = {
            "active": f"configuration {number} is active"
            + (": the same text, and files that it names have changed" if checked.verdict == "files" else ""),
            "unchanged": f"nothing has changed: configuration {number} stays active",
            "valid": "the configuration is valid",
            "invalid": f"invalid, configuration {number} stays active: "
            f"{errors[0] if errors else ''}{f' (and {len(errors) - 1} more)' if len(errors) > 1 else ''}",
            "not_published": f"configuration {number} stays active: {'; '.join(reasons or [])}",
        }
        return Outcome(
            result=result,
            message=messages[result],
            number=number,
            etag=self.active.etag,
            by=by,
            at_s=round(time.time(), 3),
            took_s=round(time.monotonic() - began_s, 3),
            findings=checked.findings,
            reasons=reasons or [],
        )
