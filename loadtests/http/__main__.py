"""python -m loadtests.http [--seconds 5] [--rounds 3] [--connections 256] [--skus 1] [--of reserve,confirm,…] [--json]:
rows of ``atp bench`` by name, without peers."""

import argparse

from atp.bench.run import over_http
from atp.bench.serving import Asked
from atp.bench.subjects import SUBJECTS
from atp.cli.bench import run, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--skus", type=int, default=1)
    parser.add_argument("--of", default="reserve,confirm,release,availability", help=f"with commas: {list(SUBJECTS)}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = tuple(options.of.replace("unchanged", "availability (unchanged)").split(","))
    asked = Asked(names, (options.connections,), options.seconds, options.rounds, options.skus, peers="none")
    raise SystemExit(run(over_http("http", asked, say), options.json))


if __name__ == "__main__":
    main()
