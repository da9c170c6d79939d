"""Keeps the members of a balancer equal to the endpoints of a Service, as an ingress controller does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from harness.cluster.capabilities import Balancer, Member, NoSuchMemberError
from harness.cluster.kubernetes.pod_watch import PodWatch
from harness.common.background import background
from harness.common.errors import EnvironmentLacksError, HarnessError

_LISTED_WITHIN_S = 10.0  # after a pod is ready
_RETRY_S = 0.1  # while the balancer does not answer


class EndpointFollower:
    """Adds a pod to the balancer when it becomes a ready endpoint, and removes it when it is none any more.

    If its clients ``wait``, it stays a member until a pod of the same name is ready, at whatever address.
    """

    def __init__(self, balancer: Balancer, watch: PodWatch, service: str, port: int, *, wait: bool = False) -> None:
        self._balancer = balancer
        self._watch = watch
        self._service = service
        self._port = port
        self._wait = wait
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def following(self, members: set[str]) -> AsyncIterator[None]:
        """Follow for the length of a scope; the balancer starts with ``members``, which have to be ready.

        Raises:
            EnvironmentLacksError: they do not become endpoints of the Service.
        """
        if not await self._watch.until(lambda: members <= self._ready().keys(), _LISTED_WITHIN_S):
            raise EnvironmentLacksError(f"ready pods are no endpoints of {self._service}", "kubectl get endpointslices")
        self._watch.on_endpoints.append(self._note)
        try:
            async with background(self._follow({name: self._ready()[name] for name in members})):
                yield
        finally:
            self._watch.on_endpoints.remove(self._note)

    def _note(self, service: str) -> None:
        if service == self._service:
            self._changed.set()

    def _ready(self) -> dict[str, Member]:
        endpoints = self._watch.endpoints(self._service).values()
        return {each.pod: Member(each.pod, each.address, self._port) for each in endpoints if each.ready}

    async def _follow(self, known: dict[str, Member]) -> None:
        while True:
            try:
                ready = self._ready()
                for name in known.keys() - ready.keys() if not self._wait else ():
                    with contextlib.suppress(NoSuchMemberError):  # a fault has removed it
                        await self._balancer.remove(name)
                    del known[name]
                for name, member in ready.items():
                    if known.get(name) != member:
                        await self._balancer.add(member)
                        known[name] = member
                await self._changed.wait()
                self._changed.clear()
            except HarnessError:  # the balancer was killed: it starts again with the members that it knew
                await asyncio.sleep(_RETRY_S)
