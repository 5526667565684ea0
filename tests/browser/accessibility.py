"""What axe finds on a page that people could not use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from scripts.test_needs import NEEDS

GRAVE = ("serious", "critical")


def grave_findings(page: Page) -> list[str]:
    """Rules of axe-core that the page breaks gravely, each with the elements concerned; for tests that need
    "clients-of-npm"."""
    folder = NEEDS["clients-of-npm"].path()
    assert folder is not None
    # Evaluated by the debugger, since the page's own policy would rightly refuse a script from elsewhere.
    page.evaluate((Path(folder) / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{each['id']} ({each['impact']}): {'; '.join(node['html'][:200] for node in each['nodes'][:5])}"
        for each in found
        if each["impact"] in GRAVE
    ]
