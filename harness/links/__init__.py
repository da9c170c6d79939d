"""What lies between the parts, where a fault has to reach it."""

from harness.links.link import ProxiedLink, Route, linked

__all__ = ["ProxiedLink", "Route", "linked"]
