"""Orders as sagas: reserve, pay, ship; what cannot be is compensated, and the coordinator may die at every step.

- ``GET /orders``                                        shows the session: how many orders were shipped, and undone
- ``POST /order`` ``{"item", "quantity"?, "refused"?}``  takes one order to its end, and answers with how it ended

``refused`` names the outside service that will not do it (``reserve``, ``pay`` or ``ship``); what was done before is
then undone (``refund``, ``release``). Each action is an effect in the journal under the order's operation id. The outside
services do a action that they are asked for twice only once; as a bank is asked by the payment's key, a coordinator that
starts again asks the journal what was done.

The coordinator keeps a durable log of its sagas on the replica's volume: the order before the first action, each action
after it, the end. After a restart, before it answers, it goes on with what was left: what was paid is shipped, what was
not is undone, and the session is told either way. With ``--option log=none`` it keeps no log: a crash leaves sagas half
done.

- ``--option step_time=20ms``  how long each outside service takes
- ``--option fsync=always``    how safe the log is (targets/storage/records.py)
- ``--option die_at=STEP``     the coordinator kills itself, once in its volume's life, where that is done and the log
  does not know it yet: ``begin``, a action, ``record`` (the session is told) or ``end``
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
#: Places that cannot hold what a saga leaves, and why.
REFUSES = {"token": "an order that ends after a crash cannot be told to a session that only its client holds"}

STEPS = ("reserve", "pay", "ship")
UNDOES = {"pay": "refund", "reserve": "release"}
BEGIN, RECORD, END = "begin", "record", "end"
_TRIES = 20  # for a session that others write too
_RETRY_INTERVAL_S = 0.5  # seconds after which what could not be brought to its end is tried again
_LOG = logging.getLogger("targets")


@dataclass(frozen=True, slots=True)
class SagaOrder:
    """What is ordered and by whom; ``refused`` names the outside service that will not do its part."""

    wish: WriteRequest
    item: str
    quantity: int
    refused: str = ""


class SagaLog:
    """What a coordinator knows of its sagas; on the volume, or for as long as it lives."""

    def __init__(self, volume: Path | None, fsync: str, die_at: str = "") -> None:
        self._log = Log(volume / "sagas", fsync) if volume else None
        self._fuse = volume / "died" if volume else None  # there once it has killed itself
        self._die_at = die_at

    def left(self) -> dict[str, tuple[SagaOrder, set[str]]]:
        """The orders that had not come to their end, with the deeds that are known of each, by operation id."""
        found: dict[str, tuple[SagaOrder, set[str]]] = {}
        for text in self._log.replay() if self._log else ():
            told = json.loads(text)
            if told["step"] == BEGIN:
                found[told["op"]] = (SagaOrder(WriteRequest(**told["order"].pop("wish")), **told["order"]), set())
            elif told["step"] == END:
                del found[told["op"]]
            else:
                found[told["op"]][1].add(told["step"])
        return found

    async def begin(self, order: SagaOrder) -> None:
        """Write down an order before its first action."""
        await self._write({"op": order.wish.op, "step": BEGIN, "order": asdict(order)})
        self.maybe_crash(BEGIN)

    async def done(self, order: SagaOrder, step: str) -> None:
        """Write down a action, after it."""
        self.maybe_crash(step)
        await self._write({"op": order.wish.op, "step": step})

    def maybe_crash(self, step: str) -> None:
        """Kill this process where that was asked for."""
        if step == self._die_at and self._fuse is not None and not self._fuse.exists():
            self._fuse.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    async def _write(self, record: object) -> None:
        if self._log is not None:
            await self._log.append(json.dumps(record, separators=(",", ":")))

    async def close(self) -> None:
        """Give the log back."""
        if self._log is not None:
            await self._log.close()


class Coordinator:
    """Takes every order to its end, also those that a crash left."""

    def __init__(self, context: AppContext, log: SagaLog) -> None:
        options = context.settings.options
        self._sessions, self._store, self._journal = (
            SessionService(context.store, dedupe=True),
            context.store,
            context.journal,
        )
        self._step_time = options.seconds("step_time", 0.001) if "step_time" in options.values else 0.0
        self._log = log
        self._running: dict[str, asyncio.Task[StoredSession]] = {}
        self._left: dict[str, tuple[SagaOrder, set[str]]] = {}  # not at their end, by a crash or since a part was away

    async def take(self, order: SagaOrder) -> StoredSession:
        """The session after an order's end; one that is asked for again is not begun again.

        Raises:
            Problem: what the store or the log raises; it is then brought to its end later.
        """
        op = order.wish.op
        if op in self._left:
            raise UnavailableError("this order is not at its end yet")
        known = await self._store.read(order.wish.handle) if order.wish.handle else None
        if known is not None and op in known.recent:
            return StoredSession(known, order.wish.writer, order.wish.handle, is_new_handle=False, op=op)
        if op not in self._running:
            self._running[op] = asyncio.create_task(self._taken(order))
            self._running[op].add_done_callback(lambda _: self._running.pop(op, None))
        return await asyncio.shield(self._running[op])

    async def _taken(self, order: SagaOrder) -> StoredSession:
        await self._log.begin(order)
        done: set[str] = set()
        try:
            shipped = await self._forward(order, done)
            if not shipped:
                await self._back(order, done)
            return await self._tell(order, shipped)
        except HttpError:
            self._left[order.wish.op] = (order, done)
            raise

    async def _forward(self, order: SagaOrder, done: set[str]) -> bool:
        """Do what is to be done, up to what is refused; whether it was shipped."""
        for step in STEPS:
            if step == order.refused:
                return False
            await self._do(order, step, done)
        return True

    async def _back(self, order: SagaOrder, done: set[str]) -> None:
        """Undo what was done, the last first."""
        for step in reversed(STEPS):
            if step in done and step in UNDOES:
                await self._do(order, UNDOES[step], done)

    async def _do(self, order: SagaOrder, step: str, done: set[str]) -> None:
        """One action of an outside service, unless it is done already."""
        if step in done:
            return
        await asyncio.sleep(self._step_time)
        self._journal.append(order.wish.op, step)
        done.add(step)
        await self._log.done(order, step)

    async def _tell(self, order: SagaOrder, shipped: bool) -> StoredSession:
        """Have the session know how an order ended; the end of its saga."""
        how = "shipped" if shipped else "undone"

        def with_it(items: Items) -> Items:
            return {**items, how: items.get(how, 0) + 1}

        for nth in range(_TRIES):
            try:
                kept = await self._sessions.apply_write(order.wish, with_it)
                break
            except ConflictError:  # another order of the same session was quicker
                if nth == _TRIES - 1:
                    raise
        await self._log.done(order, RECORD)
        await self._log.done(order, END)
        return kept

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Go on with what a crash left; later with what a part that was away kept from its end."""
        self._left.update(self._log.left())
        if self._left:
            _LOG.warning("%d sagas had been left unfinished", len(self._left))
        await self._finish()
        finishing = PeriodicTask(_RETRY_INTERVAL_S, self._finish)
        try:
            yield
        finally:
            await finishing.end()
            await self._log.close()

    async def _finish(self) -> None:
        outside = self._journal.effects(self._left)
        for op, (order, done) in list(self._left.items()):
            with contextlib.suppress(HttpError):  # still away: later
                await self._resume(order, done | outside[op])
                del self._left[op]

    async def _resume(self, order: SagaOrder, done: set[str]) -> None:
        """What was paid, and is not being undone, is shipped; the rest is undone."""
        shipped = "pay" in done and not done & set(UNDOES.values()) and await self._forward(order, done)
        if not shipped:
            await self._back(order, done)
        if order.wish.handle and await self._store.read(order.wish.handle) is not None:
            await self._tell(order, shipped)
        else:  # its client never got the session's handle, or the session has expired
            await self._log.done(order, END)


class SagaOrders:
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
        return (await self._coordinator.take(order)).reply()


def create_routes(context: AppContext) -> Routes:
    """The routes, and the coordinator at work.

    Raises:
        SettingsError: a durable log without a volume, or nowhere to die.
    """
    options = context.settings.options
    durable = options.text("log", "volume", ("volume", "none")) == "volume"
    stores = ("", BEGIN, *STEPS, *UNDOES.values(), RECORD, END)
    log = SagaLog(
        context.settings.volume_for("the app saga") if durable else None,
        options.text("fsync", "always", FSYNC),
        options.text("die_at", "", stores),
    )
    coordinator = Coordinator(context, log)
    context.background.append(coordinator.working)
    orders = SagaOrders(context, coordinator)
    return {"/orders": {"GET": orders.show}, "/order": {"POST": orders.order}}
