"""Python loads this in every process that has its folder on the path: faults of the service, by name.

``FAULTS_PLANTS`` is like ``clock=3600,retries``; each name is a module beside this one with ``plant(argument)``. A
process in which one cannot be planted ends at once: Python itself would go on without it.
"""

import importlib
import os
import traceback

for text in filter(None, os.environ.get("FAULTS_PLANTS", "").split(",")):
    name, _, argument = text.partition("=")
    try:
        importlib.import_module(f"tests.faults.plants.{name}").plant(argument)
    except Exception:  # noqa: BLE001, RUF100
        traceback.print_exc()
        os._exit(1)
