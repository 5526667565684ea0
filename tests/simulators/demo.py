"""`make demo`: a gateway in front of simulated providers. Further arguments go to `imagegate serve`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gateway.cli import main as imagegate
from tests.simulators.fleet import fleet, write_configuration


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="imagegate-demo-") as folder, fleet() as simulators:
        path = write_configuration(simulators, Path(folder))
        print("Every provider here is simulated: the pictures are gradients, and nothing is charged.")
        for name, simulator in simulators.items():
            print(f"  {name:<11} {simulator.origin}/__sim/stats")
        print(
            "Let one fail: curl -d '{\"status\": 429}' " + simulators["apiframe"].origin + "/__sim/faults", flush=True
        )
        return imagegate(["serve", "--config", str(path), *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
