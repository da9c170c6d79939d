"""Start one service: ``python -m targets --app cart --state memory``. docs/wire.md describes the flags."""

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from targets.common.settings import AddressError, Options, Settings, SettingsError, seconds
from targets.registry import APPS, CLIENTS, STATES
from targets.server.imports import quick_imports


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(
        prog="python -m targets",
        description="Start one service: an app, and a store for its state.",
        epilog="example: python -m targets --app cart --state memory --port 8081 --service-time 20ms --slots 2",
    )
    flags.add_argument("--app", required=True, metavar="NAME", help=f"what it does: {', '.join(APPS)}")
    flags.add_argument("--state", required=True, metavar="NAME", help=f"where its state lives: {', '.join(STATES)}")
    flags.add_argument("--host", default="127.0.0.1", help="where to listen")
    flags.add_argument("--port", type=int, default=0, help="where to listen; 0 picks a free port")
    flags.add_argument("--replica", default="r0", metavar="NAME", help="the replica's name, sent as X-Replica")
    flags.add_argument("--nonce", default="", metavar="TEXT", help="returned by /healthz")
    flags.add_argument("--store", default="", metavar="URL", help="the address of an external store")
    flags.add_argument("--volume", type=Path, metavar="DIR", help="this replica's own directory, kept over restarts")
    flags.add_argument("--peers", default="", metavar="r0=HOST:PORT,...", help="all replicas, including this one")
    flags.add_argument("--secret", default="", metavar="TEXT", help="the key from which tokens are signed")
    flags.add_argument("--journal", type=Path, metavar="FILE", help="the file to append effects to")
    flags.add_argument("--service-time", default="0s", metavar="20ms", help="how long each request holds a slot")
    flags.add_argument("--slots", type=int, default=1, metavar="N", help="how many requests hold a slot at once")
    flags.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="a setting of the app or the state"
    )
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT, and return the exit code: 0, 2 for wrong settings, 4 for what is missing."""
    flags = parser().parse_args(arguments)
    try:
        asyncio.run(_run(flags))
    except SettingsError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return problem.code
    except ModuleNotFoundError as lack:
        if flags.state not in CLIENTS:
            raise
        print(f"error: no package {lack.name}: pip install 'session-harness[{flags.state}]'", file=sys.stderr)
        return 4
    return 0


async def _run(flags: argparse.Namespace) -> None:
    with quick_imports():
        from targets.apps import AppContext  # noqa: PLC0415
        from targets.server import catalog  # noqa: PLC0415 - these import the server's library
        from targets.server.capacity import Slots  # noqa: PLC0415
        from targets.server.service import Service, serve  # noqa: PLC0415
        from targets.storage.journal import Journal  # noqa: PLC0415

    boot, options = os.urandom(8).hex(), _options(flags.option)
    peers = {name: address for name, _, address in (peer.partition("=") for peer in flags.peers.split(",") if peer)}
    settings = Settings(flags.replica, boot, flags.store, flags.secret, options, flags.volume, peers, flags.state)
    app, state = catalog.select(flags.app, flags.state, settings.options)
    store, journal = state.create_store(settings), Journal(flags.journal, settings)
    context = AppContext(store, journal, settings)
    routes = app.create_routes(context)
    slots = Slots(service_time, flags.slots) if (service_time := seconds(flags.service_time)) else None
    listener = _listener(flags.host, flags.port)
    ready = {"ready": True, "port": listener.getsockname()[1], "replica": settings.replica, "boot": settings.boot}
    stopping = {"stopping": True, "replica": settings.replica, "boot": settings.boot}
    service = Service(settings, routes, store, slots, flags.nonce)
    await serve(
        service,
        context,
        listener,
        ready=lambda: print(json.dumps(ready), flush=True),
        stopping=lambda: print(json.dumps(stopping), flush=True),
    )
    journal.close()


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), reuse_port=True, backlog=1024)
    except (OSError, OverflowError) as problem:
        raise AddressError(f"cannot listen on {host}:{port}: {problem}") from problem


def _options(pairs: Sequence[str]) -> Options:
    for pair in pairs:
        if "=" not in pair:
            raise SettingsError(f"--option {pair} has no value: write it as KEY=VALUE")
    return Options({key: value for key, _, value in (pair.partition("=") for pair in pairs)})


if __name__ == "__main__":
    sys.exit(main())
