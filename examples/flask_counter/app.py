"""A counter in Flask's session: in a signed cookie, on the server with Flask-Session, or in this process's memory."""

import os
import secrets

import redis
from flask import Flask, jsonify, session
from flask_session import Session

KEPT_IN = os.environ.get("SESSIONS", "cookie")

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "the same for all replicas")
kept: dict[str, int] = {}

if KEPT_IN.startswith("redis://"):
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.from_url(KEPT_IN))
    Session(app)


@app.get("/")
def index():
    return "ready"


@app.post("/count")
def count():
    if KEPT_IN == "memory":
        if session.get("id") not in kept:
            session["id"] = secrets.token_hex(16)
        kept[session["id"]] = shown = kept.get(session["id"], 0) + 1
    else:
        session["count"] = shown = session.get("count", 0) + 1
    return jsonify(count=shown)


@app.get("/count")
def current():
    shown = kept.get(session.get("id"), 0) if KEPT_IN == "memory" else session.get("count", 0)
    return jsonify(count=shown)
