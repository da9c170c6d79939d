"""What lies between the parts, where a fault has to reach it."""

from harness.cluster.links.link import AddressableLink, ProxiedLink, Route, open_links

__all__ = ["AddressableLink", "ProxiedLink", "Route", "open_links"]
