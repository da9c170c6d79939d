"""A session is saved after the head of a redirect has left (expressjs/session#74)."""
