"""In memory, with a copy in another replica, which is made before a write is acknowledged, or after it.

One replica leads each session: the one that its client's requests reach. ``--option ack`` decides when a write is
acknowledged:

- ``peer``  once this process **and** another one have it: the kill of any one replica loses nothing
- ``self``  once this process has it; the copy follows, so a kill loses the writes on their way (milliseconds)

Copies go to the next replica that answers (from r0 to r1, from the last to r0). On a request for a session that it does
not lead, a replica asks all others for it, takes the newest version and leads it from then on. In this way the
remaining replicas answer for the sessions of a dead one, and a replica that restarted empty gets its sessions back. A
replica refuses a copy that is not newer than its own (409 for the client). When the next replica changes, all sessions
that are led here are copied again.

If no other replica answers, ``peer`` refuses writes (503, possibly applied). Sessions are lost if both their replicas
die before they were copied again. In a network partition both sides can lead a session: with ``peer`` and three
replicas the side with one replica refuses writes, with ``self`` the writes of one side are lost. The older replicas do
not know a replica that is added later, so they cannot ask it.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from aiohttp import web

from targets.common.session import SessionState
from targets.common.settings import Settings, SettingsError
from targets.http import request_fields
from targets.http.errors import ConflictError, UnavailableError
from targets.state import TTL
from targets.state.memory import Memory
from targets.storage import peers
from targets.storage.peers import HttpPeer, Peer, ReplicatedEntry, peer_key

OPTIONS: tuple[str, ...] = ("ttl", "ack")
KEEPS_SESSIONS = True

ACKS = ("peer", "self")


class Replicated:
    """A memory with copies in other replicas; ``others`` are those replicas, the next one first."""

    def __init__(self, others: Sequence[Peer], ttl: float = TTL, ack: str = "peer", key: str = "") -> None:
        self._memory = Memory(ttl, time.time)
        self._others, self._waits_for_peer, self._key = list(others), ack == "peer", key
        self._leads: set[str] = set()
        self._next: Peer | None = None  # the replica with copies of all sessions led here
        self._outbox: dict[str, list[asyncio.Future[None]]] = {}  # handles to copy, with those that wait for it
        self._filled = asyncio.Event()
        self._copying: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """Begin to copy. A peer that is not up yet is no error."""
        self._copying = asyncio.create_task(self._copy_batches())

    async def close(self) -> None:
        """Copy the last writes, and forget everything."""
        if self._copying is not None:
            self._closing = True
            self._filled.set()
            await self._copying
            self._copying, self._closing = None, False
        for peer in self._others:
            await peer.close()
        self._leads.clear()
        await self._memory.close()

    async def read(self, handle: str, *, to_write: bool = False) -> SessionState | None:
        """The session, which is led here from now on; None if no replica that answers knows it."""
        if handle not in self._leads:
            await self._take_lead(handle)
        return await self._memory.read(handle)

    async def create(self, session: SessionState) -> str:
        """Keep it, and copy it to a peer.

        Raises:
            UnavailableError: ``ack`` is ``peer``, and no peer answers.
        """
        self._leads.difference_update(self._memory.purge())
        handle = os.urandom(16).hex()
        self._memory.put(handle, session)
        self._leads.add(handle)
        await self._replicate(handle)
        return handle

    async def write(self, handle: str, session: SessionState) -> str:
        """Replace it, if it is led here and still the one that was read, and copy it to a peer.

        Raises:
            ConflictError: it is not, or the peer has a newer version.
            UnavailableError: ``ack`` is ``peer``, and no peer answers.
        """
        if handle not in self._leads:
            raise ConflictError("the session is led by another replica by now")
        await self._memory.write(handle, session)
        await self._replicate(handle)
        return handle

    # Answers to the peers

    def keep(self, entries: Iterable[ReplicatedEntry]) -> list[str]:
        """Keep copies, and return the handles of those that are refused, since they are not newer."""
        refused = []
        for entry in entries:
            _, known = self._memory.find(entry.handle)
            if known is None or known.version < entry.session.version:
                self._memory.put(entry.handle, entry.session, entry.expires)
                self._leads.discard(entry.handle)
            elif known != entry.session:
                refused.append(entry.handle)
        return refused

    def give(self, handle: str) -> ReplicatedEntry | None:
        """The session as it is here, which is no longer led here."""
        self._leads.discard(handle)
        return self._entry(handle)

    def routes(self) -> Mapping[str, Mapping[str, Callable[[web.BaseRequest], Awaitable[web.Response]]]]:
        """The routes for the peers."""
        return {peers.KEEP: {"POST": self._handle_keep}, peers.GIVE: {"POST": self._handle_give}}

    async def _handle_keep(self, request: web.BaseRequest) -> web.Response:
        message = await peers.read_message(request, self._key)
        return request_fields.reply({"refused": self.keep(map(ReplicatedEntry.from_list, message["entries"]))})

    async def _handle_give(self, request: web.BaseRequest) -> web.Response:
        entry = self.give(str((await peers.read_message(request, self._key))["handle"]))
        return request_fields.reply({"entry": entry.to_list() if entry else None})

    # Copies

    def _entry(self, handle: str) -> ReplicatedEntry | None:
        expires, session = self._memory.find(handle)
        return None if session is None else ReplicatedEntry(handle, expires, session)

    async def _take_lead(self, handle: str) -> None:
        """Lead a session, in the newest version that a replica has."""
        replies = await asyncio.gather(*(peer.give(handle) for peer in self._others), return_exceptions=True)
        if handle in self._leads:  # by another request, meanwhile
            return
        entries = [entry for entry in (*replies, self._entry(handle)) if isinstance(entry, ReplicatedEntry)]
        if not entries:
            return
        newest = max(entries, key=lambda entry: entry.session.version)
        self._memory.put(handle, newest.session, newest.expires)
        self._leads.add(handle)
        self._enqueue(handle)

    async def _replicate(self, handle: str) -> None:
        waiting = self._enqueue(handle)
        if self._waits_for_peer:
            await waiting

    def _enqueue(self, handle: str) -> asyncio.Future[None]:
        waiting = asyncio.get_running_loop().create_future()
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # not every write waits for it
        self._outbox.setdefault(handle, []).append(waiting)
        self._filled.set()
        return waiting

    async def _copy_batches(self) -> None:
        """Copy one batch after another. Writes that come meanwhile go with the next batch."""
        while self._outbox or not self._closing:
            await self._filled.wait()
            batch, self._outbox = self._outbox, {}
            self._filled.clear()
            await self._copy(batch)

    async def _copy(self, batch: Mapping[str, Sequence[asyncio.Future[None]]]) -> None:
        refused = await self._send_to_first_peer(batch)
        for handle in refused or ():  # another replica leads it by now: the next request asks for it
            self._leads.discard(handle)
            self._memory.forget(handle)
        for handle, waiting in batch.items():
            for waiter in waiting:
                if waiter.done():
                    continue
                if refused is None:
                    waiter.set_exception(UnavailableError("no other replica answers"))
                elif handle in refused:
                    waiter.set_exception(ConflictError("another replica has a newer state of the session"))
                else:
                    waiter.set_result(None)

    async def _send_to_first_peer(self, handles: Iterable[str]) -> Collection[str] | None:
        """Copy sessions, and return the handles that the first peer to answer refuses; None if no peer answers."""
        order = sorted(self._others, key=lambda peer: peer is not self._next)  # the present one first
        for peer in order:
            to_copy = handles if peer is self._next else {*handles, *self._leads}
            entries = [entry for handle in to_copy if (entry := self._entry(handle))]
            with contextlib.suppress(UnavailableError):
                refused = await peer.keep(entries)
                self._next = peer
                return refused
        return None


def create_store(settings: Settings) -> Replicated:
    """A memory with copies, and the options ``ttl`` and ``ack``.

    Raises:
        SettingsError: there is no other replica.
    """
    names = [*settings.peers]
    if settings.replica not in names or len(names) < 2:
        raise SettingsError(
            "the state replicated needs --peers r0=HOST:PORT,r1=..., this replica and at least one more"
        )
    own, key = names.index(settings.replica), peer_key(settings.secret)
    others = [HttpPeer(settings.peers[name], key) for name in names[own + 1 :] + names[:own]]
    options = settings.options
    return Replicated(others, options.seconds("ttl", TTL), options.text("ack", "peer", ACKS), key)
