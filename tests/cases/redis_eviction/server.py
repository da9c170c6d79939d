"""A counter in Flask-Session's Redis, with some weight in each session."""

import os

import redis
from flask import Flask, session
from flask_session import Session  # type: ignore[import-untyped] # it has no stubs

app = Flask(__name__)
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis.from_url(os.environ["STORE"]))
Session(app)


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/count")
def count() -> str:
    session["weight"] = "x" * 8000  # much, compared with the buffer of a connection
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])


@app.get("/count")
def show() -> str:
    return str(session.get("n", 0))
