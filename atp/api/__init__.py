"""The HTTP API: a request becomes a command, the ledger's result becomes an answer.

What a route does is a plain function of a Call (``reservations``, ``changes``, ``batches``, ``availability``,
``policies``, ``operations``); ``routes`` lists them all; Litestar routes and documents them.
"""

from atp.api.app import create_app
from atp.api.following import Changes
from atp.api.p0 import beside, only_operations, only_p0
from atp.api.server import PortTaken, serve
from atp.api.settings import ApiSettings

__all__ = ["ApiSettings", "Changes", "PortTaken", "beside", "create_app", "only_operations", "only_p0", "serve"]
