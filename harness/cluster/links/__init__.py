"""What lies between the parts, where a fault has to reach it."""

from harness.cluster.links.link import Laid, ProxiedLink, Route, linked

__all__ = ["Laid", "ProxiedLink", "Route", "linked"]
