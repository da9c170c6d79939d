"""Random histories of sessions, with what really happened in them by the contents of the service alone."""
