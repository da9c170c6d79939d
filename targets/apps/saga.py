"""Orders as sagas: reserve, pay, ship. Where a step is refused, the steps before it are compensated.

- ``GET /orders``                                        shows the session: how many orders were shipped, and undone
- ``POST /order`` ``{"item", "quantity"?, "refused"?}``  takes one order to its end, and answers with the outcome

``refused`` names the outside service that refuses its step (``reserve``, ``pay`` or ``ship``); the steps before it are
then compensated (``refund``, ``release``). Each step is an effect in the journal under the order's operation id. The
outside services run a step only once, however often they are asked: as a bank recognises a payment by its key, a
coordinator that starts again looks up in the journal which steps were run.

The coordinator can die at every step. It keeps a durable log of its sagas on the replica's volume: the order before its
first step, each step after it, and the end. After a restart, before it answers, it resumes the unfinished sagas: an
order that was paid is shipped, any other is undone, and the session counts the outcome either way. With
``--option log=none`` it keeps no log: a crash leaves sagas half done.

- ``--option step_time=20ms``  how long each outside service takes
- ``--option fsync=always``    how safe the log is (targets/storage/records.py)
- ``--option die_at=STEP``     the coordinator kills itself, once in the life of its volume, where that step is done and
  the log does not have it yet: ``begin``, a step, ``record`` (the session counts the outcome) or ``end``
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from targets.apps import AppContext
from targets.common.periodic import PeriodicTask
from targets.http import request_fields
from targets.http.errors import BadRequestError, ConflictError, HttpError, UnavailableError
from targets.http.routes import Routes
from targets.sessions.service import Items, SessionService, StoredSession, WriteRequest
from targets.storage.records import FSYNC, Log

OPTIONS: tuple[str, ...] = ("log", "step_time", "fsync", "die_at")
KEEPS_SESSIONS = True
#: States that cannot hold the outcome of a saga, and why.
REFUSES = {"token": "an order that ends after a crash cannot be counted in a session that only its client holds"}

STEPS = ("reserve", "pay", "ship")
COMPENSATIONS = {"pay": "refund", "reserve": "release"}
BEGIN, RECORD, END = "begin", "record", "end"
_MAX_TRIES = 20  # for a session that is written concurrently
_RETRY_INTERVAL_S = 0.5  # seconds between two attempts to finish the unfinished orders
_LOG = logging.getLogger("targets")


@dataclass(frozen=True, slots=True)
class SagaOrder:
    """What is ordered and by whom; ``refused`` names the outside service that refuses its step."""

    write: WriteRequest
    item: str
    quantity: int
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The order as the log on the volume has it."""
        return {"wish": asdict(self.write), "item": self.item, "quantity": self.quantity, "refused": self.refused}

    @classmethod
    def from_dict(cls, order: dict[str, Any]) -> Self:
        """The reverse of ``to_dict``."""
        return cls(WriteRequest(**order["wish"]), order["item"], order["quantity"], order["refused"])


class SagaLog:
    """What a coordinator knows of its sagas: on the volume, or nothing."""

    def __init__(self, volume: Path | None, fsync: str, die_at: str = "") -> None:
        self._log = Log(volume / "sagas", fsync) if volume else None
        self._crash_marker = volume / "died" if volume else None  # exists once the coordinator has killed itself
        self._die_at = die_at

    def read_unfinished(self) -> dict[str, tuple[SagaOrder, set[str]]]:
        """The unfinished orders with the logged steps of each, by operation id."""
        orders: dict[str, tuple[SagaOrder, set[str]]] = {}
        for text in self._log.replay() if self._log else ():
            record = json.loads(text)
            op, step = record["op"], record["step"]
            if step == BEGIN:
                orders[op] = (SagaOrder.from_dict(record["order"]), set())
            elif step == END:
                del orders[op]
            else:
                orders[op][1].add(step)
        return orders

    async def begin(self, order: SagaOrder) -> None:
        """Log an order before its first step."""
        await self._write({"op": order.write.op, "step": BEGIN, "order": order.to_dict()})
        self.maybe_crash(BEGIN)

    async def record(self, order: SagaOrder, step: str) -> None:
        """Log a step that is done."""
        self.maybe_crash(step)
        await self._write({"op": order.write.op, "step": step})

    def maybe_crash(self, step: str) -> None:
        """Kill this process if it is to die at this step, and has not yet."""
        if step == self._die_at and self._crash_marker is not None and not self._crash_marker.exists():
            self._crash_marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    async def _write(self, record: object) -> None:
        if self._log is not None:
            await self._log.append(json.dumps(record, separators=(",", ":")))

    async def close(self) -> None:
        """Close the file."""
        if self._log is not None:
            await self._log.close()


class Coordinator:
    """Takes every order to its end, including those that a crash left unfinished."""

    def __init__(self, context: AppContext, log: SagaLog) -> None:
        options = context.settings.options
        self._sessions, self._store = SessionService(context.store, dedupe=True), context.store
        self._journal, self._log = context.journal, log
        self._step_time = options.seconds("step_time", 0.001) if "step_time" in options.values else 0.0
        self._running: dict[str, asyncio.Task[StoredSession]] = {}
        self._unfinished: dict[
            str, tuple[SagaOrder, set[str]]
        ] = {}  # after a crash, or while the store was unavailable

    async def process(self, order: SagaOrder) -> StoredSession:
        """Take an order to its end, and return the session. An order that is repeated is not begun again.

        Raises:
            HttpError: the store's or the log's. The order is then finished later.
        """
        op = order.write.op
        if op in self._unfinished:
            raise UnavailableError("this order is not finished yet")
        known = await self._store.read(order.write.handle) if order.write.handle else None
        if known is not None and op in known.recent:
            return StoredSession(known, order.write.writer, order.write.handle, is_new_handle=False, op=op)
        if op not in self._running:
            self._running[op] = asyncio.create_task(self._run_saga(order))
            self._running[op].add_done_callback(lambda _: self._running.pop(op, None))
        return await asyncio.shield(self._running[op])

    async def _run_saga(self, order: SagaOrder) -> StoredSession:
        await self._log.begin(order)
        done: set[str] = set()
        try:
            shipped = await self._run_steps(order, done)
            if not shipped:
                await self._compensate(order, done)
            return await self._record_outcome(order, shipped)
        except HttpError:
            self._unfinished[order.write.op] = (order, done)
            raise

    async def _run_steps(self, order: SagaOrder, done: set[str]) -> bool:
        """Run the steps up to one that is refused, and return whether the order was shipped."""
        for step in STEPS:
            if step == order.refused:
                return False
            await self._run_step(order, step, done)
        return True

    async def _compensate(self, order: SagaOrder, done: set[str]) -> None:
        """Undo the steps that are done, the last one first."""
        for step in reversed(STEPS):
            if step in done and step in COMPENSATIONS:
                await self._run_step(order, COMPENSATIONS[step], done)

    async def _run_step(self, order: SagaOrder, step: str, done: set[str]) -> None:
        """Have an outside service run one step, unless it is done already."""
        if step in done:
            return
        await asyncio.sleep(self._step_time)
        self._journal.append(order.write.op, step)
        done.add(step)
        await self._log.record(order, step)

    async def _record_outcome(self, order: SagaOrder, shipped: bool) -> StoredSession:
        """Count the outcome in the session, and end the saga."""
        stored = await self._count("shipped" if shipped else "undone", order)
        await self._log.record(order, RECORD)
        await self._log.record(order, END)
        return stored

    async def _count(self, outcome: str, order: SagaOrder) -> StoredSession:
        def with_outcome(items: Items) -> Items:
            return {**items, outcome: items.get(outcome, 0) + 1}

        for _ in range(_MAX_TRIES - 1):
            with contextlib.suppress(ConflictError):  # another order of the same session was quicker
                return await self._sessions.apply_write(order.write, with_outcome)
        return await self._sessions.apply_write(order.write, with_outcome)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Resume the sagas that a crash left unfinished, then those that an unavailable store interrupts."""
        self._unfinished.update(self._log.read_unfinished())
        if self._unfinished:
            _LOG.warning("%d sagas had been left unfinished", len(self._unfinished))
        await self._resume_all()
        retries = PeriodicTask(_RETRY_INTERVAL_S, self._resume_all)
        try:
            yield
        finally:
            await retries.end()
            await self._log.close()

    async def _resume_all(self) -> None:
        outside = self._journal.effects(self._unfinished)
        for op, (order, done) in list(self._unfinished.items()):
            with contextlib.suppress(HttpError):  # still unavailable: tried again later
                await self._resume(order, done | outside[op])
                del self._unfinished[op]

    async def _resume(self, order: SagaOrder, done: set[str]) -> None:
        """Ship an order that was paid and is not being undone, and undo any other."""
        is_undone = bool(done & set(COMPENSATIONS.values()))
        shipped = "pay" in done and not is_undone and await self._run_steps(order, done)
        if not shipped:
            await self._compensate(order, done)
        if order.write.handle and await self._store.read(order.write.handle) is not None:
            await self._record_outcome(order, shipped)
        else:  # its client never received the session's handle, or the session has expired
            await self._log.record(order, END)


class SagaApp:
    """The two requests."""

    def __init__(self, context: AppContext, coordinator: Coordinator) -> None:
        self._sessions, self._coordinator = SessionService(context.store), coordinator

    async def show(self, request: web.BaseRequest) -> web.Response:
        """``GET /orders``."""
        return (await self._sessions.read(request)).reply()

    async def order(self, request: web.BaseRequest) -> web.Response:
        """``POST /order``."""
        fields = await request_fields.body(request)
        refused = fields.get("refused", "")
        if refused not in ("", *STEPS):
            raise BadRequestError(f"refused is one of {', '.join(STEPS)}")
        order = SagaOrder(
            WriteRequest.from_request(request),
            request_fields.str_field(fields, "item"),
            request_fields.int_field(fields, "quantity", 1),
            refused,
        )
        return (await self._coordinator.process(order)).reply()


def create_routes(context: AppContext) -> Routes:
    """The two routes; the coordinator runs in the background.

    Raises:
        SettingsError: a durable log without a volume, or an unknown step to die at.
    """
    options = context.settings.options
    durable = options.text("log", "volume", ("volume", "none")) == "volume"
    log = SagaLog(
        context.settings.volume_for("the app saga") if durable else None,
        options.text("fsync", "always", FSYNC),
        options.text("die_at", "", ("", BEGIN, *STEPS, *COMPENSATIONS.values(), RECORD, END)),
    )
    coordinator = Coordinator(context, log)
    context.background.append(coordinator.running)
    app = SagaApp(context, coordinator)
    return {"/orders": {"GET": app.show}, "/order": {"POST": app.order}}
