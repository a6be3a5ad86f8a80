"""The HTTP API: a request becomes a command, the ledger's result becomes an answer.

A request comes in by the ``door``, past ``access`` and ``admission``; ``routes`` lists every route, and what one does
is a plain function of a Call in ``resources``. Litestar routes and documents them, but for the hot ones.
"""

from atp.api.app import create_app
from atp.api.following import Changes
from atp.api.p0 import beside, only_operations, only_p0
from atp.api.server import PortTaken, serve
from atp.api.settings import ApiSettings

__all__ = ["ApiSettings", "Changes", "PortTaken", "beside", "create_app", "only_operations", "only_p0", "serve"]
