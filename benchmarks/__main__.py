"""`python -m benchmarks [NAME] [OPTIONS]`: the gateway beside its peers, unless another benchmark is named."""

from __future__ import annotations

import sys

from benchmarks import (
    conversions,
    crowd,
    dashboard,
    edits,
    gateway,
    journal,
    pages,
    planning,
    replicas,
    streams,
    team,
    usage,
)

BENCHMARKS = {
    "gateway": gateway.main,
    "conversions": conversions.main,
    "edits": edits.main,
    "streams": streams.main,
    "crowd": crowd.main,
    "dashboard": dashboard.main,
    "journal": journal.main,
    "pages": pages.main,
    "planning": planning.main,
    "replicas": replicas.main,
    "team": team.main,
    "usage": usage.main,
}


def main(arguments: list[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        name, *rest = arguments
        if name not in BENCHMARKS:
            print(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
            return 2
        return BENCHMARKS[name](rest)
    return gateway.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
