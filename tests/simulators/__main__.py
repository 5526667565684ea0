"""`python -m tests.simulators`: every simulated provider, until interrupted, and a configuration to serve them with."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

from tests.simulators.fleet import fleet, write_configuration


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="imagegate-simulators-") as folder, fleet() as simulators:
        for name, simulator in simulators.items():
            print(f"{name:<11} {simulator.base_url}")
        print(f"configuration: {write_configuration(simulators, Path(folder))}", flush=True)
        # Also what ends a process politely must take the folder away.
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
