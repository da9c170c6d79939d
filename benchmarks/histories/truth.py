"""What really happened to a session, from the contents of the service and from what the client could see of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.histories.legality import find_illegal
from benchmarks.histories.memory import Memory, Removal, show
from benchmarks.histories.world import Change, Content, History

_MOST_DOUBTS = 12


@dataclass(frozen=True)
class Truth:
    """The truth of a history that has come to its end."""

    history: History
    memory: Memory

    @cached_property
    def _illegal(self) -> list[int]:
        return find_illegal(self.memory, self.history.events, self.history.values, self.history.rejected)

    @cached_property
    def is_anomalous(self) -> bool:
        """Whether the client saw something that a service that keeps its word does not show."""
        return bool(self._illegal) or self._was_leaked or self._was_sent_to_login

    @property
    def _was_leaked(self) -> bool:
        return any(event.shown is not None and event.shown.owner != "me" for event in self.history.events)

    @property
    def _was_sent_to_login(self) -> bool:
        return any(event.what == "login" for event in self.history.events)

    @cached_property
    def _shown(self) -> list[Content]:
        """Every content that a reply showed, in order."""
        events = self.history.events
        return [event.shown.content for event in events if event.shown is not None and event.shown.owner == "me"]

    @cached_property
    def _acknowledged(self) -> list[int]:
        return [event.write for event in self.history.events if event.what == "ok" and event.write]

    @property
    def is_read(self) -> bool:
        """Whether the final read showed the session."""
        last = self.history.events[-1]
        return last.shown is not None and last.shown.owner == "me"

    @property
    def _is_final_wrong(self) -> bool:
        return self.is_read and len(self.history.events) - 1 in self._illegal

    @property
    def _is_final_wrong_alone(self) -> bool:
        """Whether the final state is wrong whatever was shown before: a stale reply may seem to forbid a right one."""
        events = self.history.events
        blind = [*(event._replace(shown=None) for event in events[:-1]), events[-1]]
        return bool(find_illegal(self.memory, blind, self.history.values, self.history.rejected))

    @cached_property
    def gone(self) -> frozenset[int]:
        """Acknowledged writes whose effect is missing at the end, as far as the memory shows it."""
        if not self._is_final_wrong:
            return frozenset()
        final = self._shown[-1]
        if self.memory.name == "register":
            return frozenset(self._overwritten_by_older(final))
        missing = [write for write in self._acknowledged if write not in final]
        if self.memory.name == "counter" and len(final) >= len(self._acknowledged):
            return frozenset()  # it does not show which
        if self.memory.name == "set":
            missing = [write for write in missing if self._matters(write, final, write)]
        return frozenset(missing)

    def _overwritten_by_older(self, final: Content) -> list[int]:
        """The writes acknowledged after the one whose value is there at the end; none if one that was refused is."""
        if self._refused & {*final[-1:]}:
            return []
        values = self.history.values
        value = show(self.memory, final, values)
        same = [write for write in self._acknowledged if values[write] == value]
        newest = same[-1] if same else max(final, default=0)
        return [write for write in self._acknowledged if write > newest]

    def _matters(self, write: int, final: Content, since: int) -> bool:
        """Whether an item would be right at the end if this write were there, after all that are.

        Only writes above ``since`` can have been applied after it. An item stands for all its additions since its last
        removal, and one that is back for its last removal.
        """
        values = self.history.values
        is_repeatable = not isinstance(values[write], Removal)
        return show(self.memory, (*final, write), values) != show(self.memory, final, values) and not any(
            later > since
            and self._item(later) == self._item(write)
            and not (is_repeatable and values[later] == values[write])
            for later in self._acknowledged
        )

    def _item(self, write: int) -> object:
        value = self.history.values[write]
        return getattr(value, "item", value)

    @property
    def kind(self) -> str:
        """The gravest that happened, in the words of docs/judging.md."""
        if self._was_leaked:
            return "leaked"
        if not self.is_anomalous:
            return "kept" if self.is_read and self._count_doubts() <= _MOST_DOUBTS else "unknown"
        return next(kind for kind in self._kinds() if kind)

    def _kinds(self) -> Iterator[str]:
        """What happened besides leaks, from the gravest on; an empty word for what did not."""
        yield "lost" if self.is_read and self._was_rewritten else ""
        if self._is_final_wrong:
            yield self._kind_of_loss()
        if self.memory.name == "set" and self._is_final_wrong_alone:
            yield "unexplained"  # an item is back: its removal was undone, or it was added again
        yield "unexplained" if self._was_applied_though_refused and self.memory.name != "counter" else ""
        yield "duplicated" if self._was_repeated else ""
        yield "stale" if self._illegal and (self.is_read or self._came_back) else ""
        yield "forced_login" if self._was_sent_to_login else "unknown"

    @property
    def _was_rewritten(self) -> bool:
        """Whether a whole state went, and what was written since may look as if all were there."""
        if self.memory.name == "register":
            return self._was_emptied
        return self.memory.name == "set" and self._lost_items

    @property
    def _came_back(self) -> bool:
        """Whether a later reply showed again what one lacked, or all that should be there, before the final read."""
        acknowledged: set[int] = set()
        lacking: set[int] = set()
        for place, event in enumerate(self.history.events):
            if event.what == "ok" and event.write:
                acknowledged.add(event.write)
            if event.shown is not None and event.shown.owner == "me":
                is_legal = place not in self._illegal
                is_right = is_legal and place > self._illegal[0] and not self._was_rewritten
                if lacking & {*event.shown.content} or is_right:
                    return True
                lacking |= set() if is_legal else acknowledged - {*event.shown.content}
        return False

    def _count_doubts(self) -> int:
        open_writes = self.history.doubted - self.history.rejected
        return len(open_writes - {*self._shown[-1]} if self._shown else open_writes)

    def _kind_of_loss(self) -> str:
        """What the final state lacks, and how it went; empty if nothing that was acknowledged or seen."""
        if self.memory.name == "register":
            return self._kind_of_older_value()
        went_together = [self.gone & {*change.before} - {*change.after} for change in self.history.changes]
        emptied = [not change.after for change in self.history.changes]
        if any(went and empty for went, empty in zip(went_together, emptied, strict=True)):
            return "lost"
        if self.gone and self._was_emptied:
            return "lost"
        if self._fell_back if self.memory.name == "counter" else self._went_back(went_together):
            return "rolled_back"
        if self.memory.name == "set" and len(self.gone) == 1 and all(map(self._is_removal_that_was_seen, self.gone)):
            return ""
        return "lost_writes" if self.gone else ""

    def _is_removal_that_was_seen(self, write: int) -> bool:
        return isinstance(self.history.values[write], Removal) and self._was_seen(write)

    def _went_back(self, went_together: Sequence[frozenset[int]]) -> bool:
        """Whether several writes of which some had been seen went at once, or one in doubt that had appeared."""
        if any(len(went) > 1 and self._was_seen(min(went)) for went in went_together):
            return True
        return self._lacks_what_was_seen

    def _kind_of_older_value(self) -> str:
        """A register shows a loss as an older value, or none."""
        was_more = len(self.gone) > 1 or any(map(self._was_seen, self.gone))
        if was_more and show(self.memory, self._shown[-1], self.history.values) == "":
            return "lost"
        if len(self.gone) > 1 and self._was_seen(min(self.gone)):
            return "rolled_back"
        newest = max(self._acknowledged, default=0)
        doubted = self.history.doubted - self.history.rejected
        if not self.gone and any({*content[-1:]} & doubted and content[-1] > newest for content in self._shown):
            return "rolled_back"  # one in doubt had appeared
        return "lost_writes" if self.gone else ""

    @property
    def _was_emptied(self) -> bool:
        """Whether a reply showed nothing, or new writes only, and no write acknowledged before is there at the end.

        A register never shows more than the newest write.
        """
        kept: set[int] = set()
        seen: set[int] = set()
        last: Content = ()
        for event in self.history.events:
            if event.shown is not None and event.shown.owner == "me":
                is_new = self.memory.name != "register" and bool(kept & seen) and not seen & {*event.shown.content}
                was_there = self.memory.name != "set" or not last or kept & {*last}  # not gone before, one by one
                is_empty = was_there and self._is_empty(event.shown.content)
                if kept and (is_new or is_empty) and not kept & {*self._shown[-1]}:
                    return True
                last = event.shown.content
                seen |= {*event.shown.content}
                kept |= {event.write} & {*event.shown.content}
            elif event.what == "ok" and event.write:
                kept.add(event.write)
            kept = {write for write in kept if not self._needs_no_place(write)}
        return False

    def _needs_no_place(self, write: int) -> bool:
        """Whether a write is a removal, or added an item that was removed later."""
        value = Removal(str(self.history.values[write]))
        return isinstance(self.history.values[write], Removal) or any(
            later > write and self.history.values[later] == value for later in self._acknowledged
        )

    @property
    def _lost_items(self) -> bool:
        """Whether items went with a whole state, as a reply showed, and were not removed later; added again or not."""
        lost = [change for change in self.history.changes if not change.after]
        return any(
            self._kept_items(change) and max(self._illegal, default=-1) >= self._next_reply(change) for change in lost
        )

    def _kept_items(self, change: Change) -> set[object]:
        """The items of the state that gave way which no later write removed."""
        values = self.history.values
        held = {values[write] for write in change.before if write in self._acknowledged}
        removed = {
            value.item
            for write in self._acknowledged
            if isinstance(value := values[write], Removal) and write > max(change.before, default=0)
        }
        return held & self._items(change.before) - removed

    def _items(self, content: Content) -> set[object]:
        shown = show(self.memory, content, self.history.values)
        return set(shown) if isinstance(shown, frozenset) else set()

    def _next_reply(self, change: Change) -> int:
        """The place of the first reply that no longer showed what had gone; -1 if there was none."""
        newest, sent = max(change.before, default=0), False
        for place, event in enumerate(self.history.events):
            sent |= event.write == newest
            if sent and event.shown is not None and newest not in event.shown.content:
                return place
        return -1

    def _is_empty(self, content: Content) -> bool:
        values = self.history.values
        return show(self.memory, content, values) == show(self.memory, (), values)

    def _was_seen(self, write: int) -> bool:
        return any(write in content for content in self._shown)

    @property
    def _lacks_what_was_seen(self) -> bool:
        """Whether a write in doubt had appeared, and is gone."""
        seen = {write for content in self._shown for write in content} - {*self._shown[-1]}
        return any(
            self.memory.name != "set" or self._matters(write, self._shown[-1], self._newest_when_seen(write))
            for write in seen & self.history.doubted
        )

    def _newest_when_seen(self, write: int) -> int:
        """The newest write that had been sent when a reply first showed this one."""
        newest = 0
        for event in self.history.events:
            newest = max(newest, event.write)
            if event.shown is not None and write in event.shown.content:
                break
        return newest

    @property
    def _refused(self) -> set[int]:
        return {event.write for event in self.history.events if event.what == "failed"} | {*self.history.rejected}

    @property
    def _was_applied_though_refused(self) -> bool:
        refused = self._refused
        events, values = self.history.events, self.history.values
        contents = [shown.content for place in self._illegal if (shown := events[place].shown) is not None]
        legal = [tuple(write for write in content if write not in refused) for content in contents]
        return any(
            show(self.memory, content, values) != show(self.memory, rest, values)
            for content, rest in zip(contents, legal, strict=True)
        )

    @property
    def _was_repeated(self) -> bool:
        if self.memory.name in ("set", "register"):
            return False
        if self.memory.name == "counter":
            return self._exceeds_all_writes
        return any(max(Counter(content).values(), default=0) > 1 for content in self._shown)

    @property
    def _exceeds_all_writes(self) -> bool:
        """Whether a reply showed more than was acknowledged or in doubt."""
        possible: set[int] = set()
        for event in self.history.events:
            if event.what in ("ok", "in_doubt") and event.write not in {0, *self.history.rejected}:
                possible.add(event.write)
            if event.shown is not None and event.shown.owner == "me" and len(event.shown.content) > len(possible):
                return True
        return False

    @property
    def _fell_back(self) -> bool:
        """Whether a number lacks several writes of which some had been seen, or one in doubt that had appeared."""
        if self.gone:
            return self._fell and len(self.gone) > 1
        seen = self.history.doubted & {write for content in self._shown for write in content}
        return self._lacks_what_was_seen and len(self._shown[-1]) < len(self._acknowledged) + len(seen)

    @property
    def _fell(self) -> bool:
        """Whether a number fell by more than one below what the reply before should have led to."""
        acknowledged = missing = new = 0
        for event in self.history.events:
            is_new = event.what == "ok" and event.write > 0
            acknowledged, new = acknowledged + is_new, new + is_new
            if event.shown is not None and event.shown.owner == "me":
                more = acknowledged - len(event.shown.content) - missing
                if more > 1 and more > new:
                    return True
                missing, new = missing + more, 0
        return False
