"""Orders are in Redis; every form carries a token that only the process that made it can check (else 400)."""

import hashlib
import hmac
import os
import secrets

import redis
from flask import Flask, Response, make_response, request

KEY = secrets.token_bytes(16)
app, store = Flask(__name__), redis.Redis.from_url(os.environ["STORE"], decode_responses=True)


def proof(sid: str) -> str:
    """What the form of this session must carry."""
    return hmac.new(KEY, sid.encode(), hashlib.sha256).hexdigest()


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/orders")
def orders() -> Response:
    sid = request.cookies.get("sid") or secrets.token_hex(8)
    reply = make_response({"orders": int(str(store.get(sid) or 0)), "token": proof(sid)})
    reply.set_cookie("sid", sid)
    return reply


@app.post("/orders")
def order() -> tuple[dict[str, object], int]:
    sid = request.cookies.get("sid", "")
    if request.form.get("token") != proof(sid):
        return {"error": "The antiforgery token could not be decrypted."}, 400
    return {"orders": store.incr(sid)}, 200
