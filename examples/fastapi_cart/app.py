"""A cart in FastAPI, kept in this process's memory under the id in a cookie."""

import secrets

from fastapi import Body, Cookie, FastAPI, Response

app = FastAPI()
carts: dict[str, list[str]] = {}


@app.get("/health")
async def health():
    return "ok"


@app.post("/cart/add")
async def add(response: Response, item: str = Body(embed=True), cart: str | None = Cookie(None)):
    if cart not in carts:
        cart = secrets.token_hex(16)
        carts[cart] = []
        response.set_cookie("cart", cart)
    carts[cart].append(item)
    return {"items": carts[cart]}


@app.get("/cart")
async def show(cart: str | None = Cookie(None)):
    return {"items": carts.get(cart, [])}
