"""Start one service: ``python -m targets --app cart --state memory``. The flags are told in docs/wire.md."""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from targets.settings import Options, Settings, SettingsError, seconds


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(
        prog="python -m targets",
        description="Start one service: an app and a place for its state.",
        epilog="example: python -m targets --app cart --state memory --port 8081 --service-time 20ms --slots 2",
    )
    flags.add_argument("--app", required=True, metavar="NAME", help="a file of targets/apps/, such as cart")
    flags.add_argument("--state", required=True, metavar="NAME", help="a file of targets/state/, such as memory")
    flags.add_argument("--host", default="127.0.0.1", help="where to listen")
    flags.add_argument("--port", type=int, default=0, help="0 picks a free one")
    flags.add_argument("--replica", default="r0", metavar="NAME", help="sent as X-Replica")
    flags.add_argument("--nonce", default="", metavar="TEXT", help="sent back by /healthz")
    flags.add_argument("--store", default="", metavar="URL", help="an external store")
    flags.add_argument("--secret", default="", metavar="TEXT", help="signs tokens")
    flags.add_argument("--journal", type=Path, metavar="FILE", help="where effects are appended")
    flags.add_argument("--service-time", default="0s", metavar="20ms", help="how long each request holds a slot")
    flags.add_argument("--slots", type=int, default=1, metavar="N", help="requests at once, where they take time")
    flags.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of the app or the state")
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. Exit code 0; 2 for settings that cannot be, 4 for an address that cannot be had."""
    asked_for = parser().parse_args(arguments)
    try:
        return asyncio.run(_run(asked_for))
    except SettingsError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except OSError as problem:
        print(f"error: cannot listen on {asked_for.host}:{asked_for.port}: {problem.strerror}", file=sys.stderr)
        return 4


async def _run(flags: argparse.Namespace) -> int:
    with _quick_imports():
        from targets import capacity, catalog, service  # noqa: PLC0415 - the server's library, imported the quick way
        from targets.apps import Parts  # noqa: PLC0415
        from targets.journal import Journal  # noqa: PLC0415

    settings = Settings(flags.replica, os.urandom(8).hex(), flags.store, flags.secret, _options(flags.option))
    app, state = catalog.chosen(flags.app, flags.state, settings.options)
    service_time = seconds(flags.service_time)
    if flags.slots < 1:
        raise SettingsError("--slots must be at least 1")
    slots = capacity.Slots(service_time, flags.slots) if service_time else None
    place, journal = state.place(settings), Journal(flags.journal, settings)
    routes = app.app(Parts(place, journal, settings))
    listener = socket.create_server((flags.host, flags.port), reuse_port=True, backlog=1024)
    told = {"ready": True, "port": listener.getsockname()[1], "replica": settings.replica, "boot": settings.boot}
    answering = service.Service(settings, routes, place, slots, flags.nonce)
    await service.serve(answering, place, listener, lambda: print(json.dumps(told), flush=True))
    journal.close()
    return 0


def _options(pairs: Sequence[str]) -> Options:
    for pair in pairs:
        if "=" not in pair:
            raise SettingsError(f"--option {pair} has no value: write it as KEY=VALUE")
    return Options({key: value for key, _, value in (pair.partition("=") for pair in pairs)})


@contextlib.contextmanager
def _quick_imports() -> Iterator[None]:
    """Imports without what this server never uses.

    aiohttp loads every certificate authority of the machine when it is imported, a fifth of the whole start, for a
    client that is not used here. Nor is there garbage worth collecting while modules load.
    """
    hidden = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
    before = {name: os.environ.get(name) for name in hidden}
    os.environ.update(hidden)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


if __name__ == "__main__":
    sys.exit(main())
