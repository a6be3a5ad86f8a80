"""Python loads this in every process that has its folder on the path: faults of the service, by name.

``FAULTS_PLANTS`` is like ``clock=3600,retries``; each name is a module beside this one with ``plant(argument)``.
"""

import importlib
import os

for text in filter(None, os.environ.get("FAULTS_PLANTS", "").split(",")):
    name, _, argument = text.partition("=")
    importlib.import_module(f"tests.faults.plants.{name}").plant(argument)
