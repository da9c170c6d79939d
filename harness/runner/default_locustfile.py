"""The users of a scenario that defines none: a locustfile for the load process."""

from harness.recipes import Probe


class Visitor(Probe):
    """Requests the first page repeatedly."""
