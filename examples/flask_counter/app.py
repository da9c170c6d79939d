"""A counter in Flask's session: in its signed cookie, or (SESSIONS=memory) on the server under an id."""

import os
import secrets

from flask import Flask, jsonify, session

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY", "the same for all replicas")
kept: dict[str, int] = {}


@app.get("/")
def index():
    return "ready"


@app.post("/count")
def count():
    if os.environ.get("SESSIONS") == "memory":
        if session.get("id") not in kept:
            session["id"] = secrets.token_hex(16)
        kept[session["id"]] = shown = kept.get(session["id"], 0) + 1
    else:
        session["count"] = shown = session.get("count", 0) + 1
    return jsonify(count=shown)


@app.get("/count")
def current():
    shown = kept.get(session.get("id"), 0) if os.environ.get("SESSIONS") == "memory" else session.get("count", 0)
    return jsonify(count=shown)
