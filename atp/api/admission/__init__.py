"""Admission: which requests are begun now, which wait a moment, and which are refused before their body is read.

A request's class comes from its route (``classes``), a slot from the ``gate``, where it may have to wait (``line``).
How many slots there are follows from how long answers take (``limit``); which classes are taken at all, from how the
process and its servers are (``ladder``). ``control`` looks and sets them. See docs/reference/overload.md and ADR 14.
"""

from atp.api.admission.classes import Class
from atp.api.admission.control import Control
from atp.api.admission.gate import Gate
from atp.api.admission.settings import AdmissionSettings

__all__ = ["AdmissionSettings", "Class", "Control", "Gate"]
