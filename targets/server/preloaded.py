"""Imports what every service needs, for a process that starts services as copies of itself."""

from targets.server.imports import quick_imports

with quick_imports():
    from targets import apps
    from targets.server import capacity, catalog, service
    from targets.storage import journal

__all__ = ["apps", "capacity", "catalog", "journal", "service"]
