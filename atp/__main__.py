"""``python -m atp`` and the ``atp`` script."""

import sys

from atp.cli.app import run


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
