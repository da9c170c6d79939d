"""Other accounts of a history: contents with which the client would have seen the same, after as few incidents.

A history says how the service answered, and not always what happened in it: a number that is one too low has lost any
one of its writes. An account is a content for each reply. It is possible if it shows what the client saw, and if each
content follows from the one before by what was acknowledged, by writes in doubt, and by incidents. All accounts with
the fewest incidents are found; the search knows the contents and the client, and no judge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from benchmarks.histories.memory import Memory, show
from benchmarks.histories.settling import settle
from benchmarks.histories.world import Change, Content, Event, History

MOST_INCIDENTS = 3
_MOST_STATES = 5_000  # alive at one time; a history that needs more has no other accounts


class State(NamedTuple):
    """A service after some events: what it holds and held before, what it showed, and the incidents so far."""

    incidents: int = 0
    content: Content = ()
    versions: tuple[Content, ...] = ((),)
    shown: tuple[Content, ...] = ()
    changes: tuple[Change, ...] = ()
    behind: int = -1  # the version that a copy that lags showed last
    was_disturbed: bool = False  # by an incident at the present event

    def holds(self, content: Content, incidents: int = 0) -> "State":
        """The state after a write."""
        if content == self.content:
            return self._replace(incidents=self.incidents + incidents)
        return self._replace(content=content, versions=(*self.versions, content), incidents=self.incidents + incidents)

    def gives_way(self, content: Content) -> "State":
        """The state after an incident that puts another content in the place of the present one."""
        changes = (*self.changes, Change(self.content, content))
        return self.holds(content, 1)._replace(changes=changes, was_disturbed=True)


def find_accounts(history: History, memory: Memory) -> Sequence[History]:
    """Every account with the fewest incidents; none if it takes too many of them."""
    for most in range(1, MOST_INCIDENTS + 1):
        found = _Search(history, memory, most).run()
        if found is None or found:
            return [_account(history, state) for state in found or ()]
    return ()


def _account(history: History, state: State) -> History:
    contents = iter(state.shown)
    events = [
        event._replace(shown=event.shown._replace(content=next(contents)))
        if event.shown is not None and event.shown.owner == "me"
        else event
        for event in history.events
    ]
    return replace(history, events=events, changes=state.changes)


class _Search:
    """The search for the accounts with at most so many incidents."""

    def __init__(self, history: History, memory: Memory, most: int) -> None:
        self._history, self._memory, self._most = history, memory, most
        self._open: set[int] = set()  # in doubt
        self._refused: set[int] = set()  # certainly not applied

    def run(self) -> Sequence[State] | None:
        """The states at the end; None if there are too many on the way."""
        states = [State()]
        for place, event in enumerate(self._history.events):
            self._learn(event)
            states = [state._replace(was_disturbed=False) for state in states]
            if event.what == "ok" and event.write:
                states = [after for state in states for after in self._acknowledge(state, event.write)]
            if event.shown is not None and event.shown.owner == "me":
                wanted = show(self._memory, event.shown.content, self._history.values)
                before = states
                states = [after for state in states for after in self._answer(state, event, wanted)]
                if not event.write and place < len(self._history.events) - 1:
                    states += [after for state in before for after in self._lag(state, wanted)]
            if len(states) > _MOST_STATES:
                return None
        return states

    def _learn(self, event: Event) -> None:
        if event.what == "failed" or (event.what == "in_doubt" and event.write in self._history.rejected):
            self._refused.add(event.write)
        elif event.what == "in_doubt":
            self._open.add(event.write)
        elif event.what == "ok":
            self._open.discard(event.write)

    def _acknowledge(self, state: State, write: int) -> Iterator[State]:
        """The states in which a write may have been acknowledged: applied, dropped, or applied too often."""
        if write in state.content:
            yield state
            return
        yield state.holds((*state.content, write))
        if state.incidents < self._most:
            yield state.holds(state.content, 1)
            for times in (2, 3):
                yield state.holds((*state.content, *[write] * times), 1)
            for content in self._others(state):
                yield state.gives_way(content).holds((*content, write))

    def _answer(self, state: State, event: Event, wanted: object) -> Iterator[State]:
        """The states in which the service may have shown what is wanted, from its own content."""
        can_fail = state.incidents < self._most
        origins = [state._replace(behind=-1)]
        if can_fail and not state.was_disturbed:
            origins += [state.gives_way(content) for content in self._others(state)]
        for origin in origins:
            for content in settle(self._memory, self._history.values, origin.content, self._open, wanted):
                after = origin.holds(content)
                yield after._replace(shown=(*after.shown, content))
                if can_fail and origin is origins[0] and event.write and content[-1:] == (event.write,):
                    dropped = origin._replace(content=content[:-1], incidents=origin.incidents + 1)
                    yield dropped._replace(shown=(*after.shown, content))

    def _lag(self, state: State, wanted: object) -> Iterator[State]:
        """The states in which a copy that is behind answered a read; one that answers again is the same incident."""
        incidents = state.incidents + (state.behind < 0)
        if incidents > self._most:
            return
        first = max(0, state.behind)
        for index, version in enumerate(state.versions[first:], first):
            if version != state.content and show(self._memory, version, self._history.values) == wanted:
                yield state._replace(shown=(*state.shown, version), behind=index, incidents=incidents)

    def _others(self, state: State) -> Sequence[Content]:
        """What may take the place of a content: an earlier one, with what was added since or without, and repeats."""
        content = state.content
        merged = [(*version, *(write for write in content if write not in version)) for version in state.versions]
        repeated = [(*content, write) for write in content[-2:]]
        refused = [(*content, write) for write in self._refused - {*content}]
        twice = [(*content, write, write) for write in self._open - {*content}]
        others = dict.fromkeys([*state.versions, *merged, *repeated, *refused, *twice])
        return [other for other in others if other != content]
