"""Which replicas there are and which of them are up: a fold over the events of an arm."""

from dataclasses import dataclass, field

from harness.observations.events import Event, EventKind


@dataclass
class ReplicaCount:
    """The replicas of the running arm by name; ``up`` are those that no fault has stopped."""

    known: set[str] = field(default_factory=set)
    up: set[str] = field(default_factory=set)

    def take(self, event: Event) -> None:
        """Fold one event in."""
        match event.kind, event.detail.get("kind"):
            case EventKind.REPLICA_READY, _:
                self._add(event.subject)
            case EventKind.FAULT_EFFECTIVE, "grow":
                self._add(str(event.detail.get("replica")))
            case EventKind.FAULT_EFFECTIVE, "retire":
                self.known.discard(event.subject)
                self.up.discard(event.subject)
            case EventKind.FAULT_EFFECTIVE | EventKind.PART_DIED, _:
                self.up.discard(event.subject)
            case EventKind.FAULT_HEALED, _ if event.subject in self.known:
                self.up.add(event.subject)

    def _add(self, name: str) -> None:
        self.known.add(name)
        self.up.add(name)
