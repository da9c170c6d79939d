"""A list in Flask's signed cookie (as Rails' CookieStore): two requests at once, and the later Set-Cookie wins."""

import time

from flask import Flask, Response, jsonify, session

app = Flask(__name__)
app.secret_key = "one for all"


@app.get("/health")
def health() -> str:
    return "ok"


@app.post("/items/<item>")
def add(item: str) -> Response:
    time.sleep(0.03)
    session["items"] = [*session.get("items", []), item]
    return jsonify(items=session["items"])


@app.get("/items")
def show() -> Response:
    return jsonify(items=session.get("items", []))
