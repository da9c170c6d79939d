"""The registry of the built-in apps and states: the names that ``--app`` and ``--state`` accept, each with its module.

The harness loads this one file by its path, so it imports the standard library alone. Importing it imports no app and
no state: their client libraries need not be installed. A new app or state is a new module and one line here.
"""

from collections.abc import Mapping

APPS: Mapping[str, str] = {
    "cart": "targets.apps.cart",
    "chat": "targets.apps.chat",
    "content": "targets.apps.content",
    "cqrs": "targets.apps.cqrs",
    "echo": "targets.apps.echo",
    "function": "targets.apps.function",
    "game": "targets.apps.game",
    "login": "targets.apps.login",
    "orders": "targets.apps.orders",
    "saga": "targets.apps.saga",
}

STATES: Mapping[str, str] = {
    "checkpoint": "targets.state.checkpoint",
    "etcd": "targets.state.etcd",
    "eventlog": "targets.state.eventlog",
    "faulty": "targets.state.faulty",
    "hazelcast": "targets.state.hazelcast",
    "memcached": "targets.state.memcached",
    "memory": "targets.state.memory",
    "nats": "targets.state.nats",
    "none": "targets.state.none",
    "postgres": "targets.state.postgres",
    "redis": "targets.state.redis",
    "redis_sentinel": "targets.state.redis_sentinel",
    "replicated": "targets.state.replicated",
    "sqlite": "targets.state.sqlite",
    "token": "targets.state.token",
}

#: The package that a state imports, where it comes only with the extra that has the name of the state.
CLIENTS: Mapping[str, str] = {
    "hazelcast": "hazelcast",
    "memcached": "memcachio",
    "nats": "nats",
    "postgres": "asyncpg",
}
