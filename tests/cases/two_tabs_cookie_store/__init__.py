"""The whole session in a signed cookie, and two requests of one browser at once (rack/rack-session#24)."""
