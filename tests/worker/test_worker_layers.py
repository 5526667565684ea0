"""The worker stands alone: it is loaded beside torch, and knows nothing of the gateway."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import providers.flux_worker.worker as worker

PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
ours = ("gateway.", "providers.flux_worker.adapter")
print(*sorted(name for name in sys.modules if name == "gateway" or name.startswith(ours)))
"""


def test_the_worker_imports_neither_the_gateway_nor_its_adapter() -> None:
    modules = [each.name for each in pkgutil.walk_packages(worker.__path__, f"{worker.__name__}.")]
    modules = [name for name in modules if not name.endswith("__main__")]
    started = [sys.executable, "-c", PROBE, *modules]
    probed = subprocess.run(started, capture_output=True, text=True, check=True)  # noqa: S603  (our own words)
    assert modules
    assert probed.stdout.split() == []
