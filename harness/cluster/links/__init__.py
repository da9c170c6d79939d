"""The connections between the parts, made so that a fault can reach them."""

from harness.cluster.links.link import AddressableLink, ProxiedLink, Route, open_links

__all__ = ["AddressableLink", "ProxiedLink", "Route", "open_links"]
