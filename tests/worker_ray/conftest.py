"""These tests start Ray, which has an environment of its own: make test-ray."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("IMAGEGATE_RAY_TESTS") == "1" else ["test_*"]
