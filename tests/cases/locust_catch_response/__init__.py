"""Replies of 200 that a locustfile marks as failed; users whose on_start raises (locustio/locust#1335, #435)."""
