"""Half of the pages say 200 and "error"."""

import itertools

from flask import Flask

app, turn = Flask(__name__), itertools.count()


@app.get("/health")
def health() -> str:
    return "ok"


@app.get("/")
def page() -> str:
    return "an error, sorry" if next(turn) % 2 else "fine"
