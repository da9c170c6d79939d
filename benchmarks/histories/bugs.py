"""What can go wrong in a service: each bug strikes a world once, at the moment when it is called."""

from collections.abc import Callable, Mapping

from benchmarks.histories.world import Shown, World

Bug = Callable[[World], None]


def drop(world: World) -> None:
    """The next write is acknowledged, but not applied; the reply shows the state without it."""
    world.next_times = [0]


def drop_shown(world: World) -> None:
    """The next write is acknowledged and shown, but not kept."""
    world.next_times, world.next_is_shown = [0], True
    world.write("ok")
    world.next_is_shown = False


def drop_silently(world: World) -> None:
    """A write is acknowledged without showing the state, and not applied."""
    world.next_times = [0]
    world.write("silent")


def duplicate(world: World) -> None:
    """A write is applied twice."""
    world.next_times = [2]
    world.write("ok")


def triplicate(world: World) -> None:
    """A write is applied three times, and its reply does not show it."""
    world.next_times = [3]
    world.write("silent")


def duplicate_late(world: World) -> None:
    """A write is applied once more some time later."""
    number = world.write("ok")
    world.write("ok")
    world.apply(number)


def duplicate_in_doubt(world: World) -> None:
    """A write whose reply is lost is applied twice."""
    world.next_times = [2]
    world.write("unanswered")


def duplicate_all(world: World) -> None:
    """Every write from now on is applied twice."""
    world.times = 2


def drop_two_and_duplicate_two(world: World) -> None:
    """Four writes: two are dropped, and two applied twice."""
    world.next_times = [0, 2, 0, 2]
    for _ in range(4):
        world.write("silent")


def lag(world: World) -> None:
    """The next reads come from a copy that is behind and catches up."""
    for _ in range(world.rng.randint(1, 3)):
        world.write("ok")
    behind = world.rng.randint(1, min(12, len(world.versions) - 1))
    steps = sorted(world.rng.sample(range(1, behind + 1), min(behind, world.rng.randint(1, 3))), reverse=True)
    world.answers = [world.seen()._replace(content=world.versions[-1 - step]) for step in steps]


def fork(world: World) -> None:
    """A copy that is behind takes the next writes; then the first copy is back, with these writes or without them."""
    for _ in range(3):
        world.write("ok")
    first = tuple(world.store)
    world.replace(world.versions[-1 - world.rng.randint(1, 2)])
    behind = len(world.store)
    for _ in range(world.rng.randint(1, 3)):
        world.write("ok")
    world.replace((*first, *world.store[behind:]) if world.rng.random() < 0.5 else first)


def roll_back(world: World) -> None:
    """The state returns to one several writes earlier, but not to the start."""
    world.write("ok")
    ahead = world.rng.randint(2, 6)
    for _ in range(ahead):
        world.write("ok")
    world.replace(tuple(world.store[:-ahead]))


def lose(world: World) -> None:
    """The state is created again: its replica was killed, or it was evicted, or expired."""
    world.renew()
    world.boot = f"r{world.rng.randrange(3)}"
    world.replace(())


def empty(world: World) -> None:
    """The same session, with nothing in it."""
    world.write("ok")
    world.replace(())


def lose_often(world: World) -> None:
    """A state that is lost at every request, forty times."""
    for _ in range(40):
        world.write("ok")
        lose(world)


def duplicate_often(world: World) -> None:
    """Forty writes in a row are applied twice."""
    for _ in range(40):
        duplicate(world)


def outage(world: World) -> None:
    """Twenty writes in a row that never arrive, and nobody knows: legal, but too many to follow."""
    for _ in range(20):
        world.write("lost")


def leak(world: World) -> None:
    """One read of another user's session."""
    world.answers = [Shown("another owner", "other", (1,))]
    world.read()


def swap(world: World) -> None:
    """From now on all replies show another user's session."""
    world.always = Shown("another owner", "other", (1,))


def force_login(world: World) -> None:
    """Sent back to the login once."""
    world.login()


def apply_refused(world: World) -> None:
    """A write is answered 409, and yet applied."""
    number = world.write("refused")
    world.apply(number)


def rotate(world: World) -> None:
    """A login renews the session's id and answers without a body; everything is kept: legal."""
    world.read()
    world.renew()
    world.write("silent")


def nothing(world: World) -> None:
    """No bug."""


BUGS: Mapping[str, Bug] = {
    bug.__name__: bug
    for bug in (
        nothing,
        drop,
        drop_shown,
        drop_silently,
        duplicate,
        triplicate,
        duplicate_late,
        duplicate_in_doubt,
        duplicate_all,
        drop_two_and_duplicate_two,
        lag,
        fork,
        roll_back,
        lose,
        empty,
        leak,
        swap,
        force_login,
        apply_refused,
        rotate,
    )
}
#: These make long histories, so they are drawn less often.
LONG_BUGS: Mapping[str, Bug] = {bug.__name__: bug for bug in (lose_often, duplicate_often, outage)}
