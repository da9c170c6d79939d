"""Ready-made users for common kinds of services. Subclass one and set its paths; each takes a few lines.

class Visitor(SessionCounter):
    write = "/count"
"""

from harness.load.locustfiles.session_user import between
from harness.load.sessions.carriers import Bearer, Body, Cookie, Header, Path, Query
from harness.load.sessions.extractors import Json, Number, Text, Texts
from harness.load.sessions.gone import JsonRpcError, Status
from harness.recipes.mcp import Mcp
from harness.recipes.pages import Cart, Login, Probe, SessionCounter, Shopper, ShortVisit
from harness.recipes.socketio import SocketIo
from harness.recipes.token import TokenCounter

__all__ = [
    "Bearer",
    "Body",
    "Cart",
    "Cookie",
    "Header",
    "Json",
    "JsonRpcError",
    "Login",
    "Mcp",
    "Number",
    "Path",
    "Probe",
    "Query",
    "SessionCounter",
    "Shopper",
    "ShortVisit",
    "SocketIo",
    "Status",
    "Text",
    "Texts",
    "TokenCounter",
    "between",
]
