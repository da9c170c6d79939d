"""A login at /auth/login sets a cookie (without Path, a browser keeps it for /auth alone); /api/me wants it."""

import base64
import json
import os
from typing import Any

from flask import Flask, Response, make_response, request

app = Flask(__name__)


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/auth/login")
def login() -> Response:
    reply = make_response("", 204)
    token = base64.urlsafe_b64encode(json.dumps({"user": request.form["user"]}).encode()).decode()
    reply.headers["Set-Cookie"] = f"auth={token}; HttpOnly" + os.environ.get("ATTR", "")
    return reply


@app.get("/api/me")
def me() -> Any:
    token = request.cookies.get("auth")
    if token is None:
        return {"error": "who are you?"}, 401
    return json.loads(base64.urlsafe_b64decode(token))
