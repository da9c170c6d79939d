"""A site as people write them, sessions in its own memory: ``PORT=8080 python tests/services/site.py``.

It answers 503 in its first half second, wants a CSRF token at login, renews the session's id there, sets several
cookies, redirects after a POST, and compresses for those who accept it.
"""

import gzip
import os
import secrets
import time
from typing import Any

from flask import Flask, Response, make_response, redirect, request

BORN = time.monotonic()
SESSIONS: dict[str, dict[str, Any]] = {}
app = Flask(__name__)


def mine() -> dict[str, Any]:
    return SESSIONS.get(request.cookies.get("sid", ""), {})


def keep(reply: Response, content: dict[str, Any]) -> Response:
    sid = secrets.token_hex(8)
    SESSIONS[sid] = content
    reply.set_cookie("sid", sid, httponly=True)
    reply.set_cookie("theme", "dark; light")
    reply.set_cookie("seen", str(time.time()), max_age=3600)
    return reply


@app.before_request
def warm() -> Response | None:
    return Response("starting", 503) if time.monotonic() < BORN + 0.5 else None


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/login")
def form() -> Response:
    token = secrets.token_hex(8)
    field = f"<input value='{token}' name=csrf type=hidden>"
    page = f"<form method=post>{field}<input name=username><input name=password type=password></form>"
    return keep(make_response(page), {"csrf": token})


@app.post("/login")
def login() -> Response:
    fields, content = request.form, mine()
    if not content or fields.get("csrf") != content.get("csrf") or fields.get("password") != "secret":
        return Response("no", 403)
    SESSIONS.pop(request.cookies["sid"])
    return keep(make_response(redirect("/", 303)), {"user": fields["username"], "items": []})


@app.get("/")
def home() -> Any:
    content = mine()
    return f"<p>Signed in as <b>{content['user']}</b></p>" if "user" in content else redirect("/login")


@app.post("/cart")
def add() -> Any:
    content = mine()
    if "user" not in content:
        return redirect("/login")
    content["items"].append(request.form["item"])
    return redirect("/cart", 303)


@app.get("/cart")
def cart() -> Any:
    content = mine()
    return {"items": content["items"]} if "user" in content else redirect("/login")


@app.get("/visits")
def visits() -> Any:
    content = mine()
    reply = make_response("")
    if "visits" not in content:
        content = {"visits": 0}
        keep(reply, content)
    content["visits"] += 1
    reply.set_data(f"<html><h1>Welcome</h1><p>It is {time.time():.0f}</p><p>Visits: {content['visits']}</p></html>")
    return reply


@app.after_request
def packed(reply: Response) -> Response:
    if "gzip" in request.headers.get("Accept-Encoding", "") and not reply.direct_passthrough:
        reply.set_data(gzip.compress(reply.get_data()))
        reply.headers["Content-Encoding"] = "gzip"
    return reply


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), threaded=True)
