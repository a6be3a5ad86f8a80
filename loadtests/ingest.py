"""``atp bench ingest``, by the name that developers know."""

import sys

from atp.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["bench", "ingest", *sys.argv[1:]]))
