"""The users of a scenario that has none: a locustfile for the load process."""

from harness.recipes import Probe


class Visitor(Probe):
    """Asks for the first page again and again."""
