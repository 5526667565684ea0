"""The documentation is in step with the code: generated parts are fresh, and what it links to is there.

With `--write`, the generated parts are written instead of compared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from scripts.files import ROOT, files
from scripts.generated_docs import PARTS, Part

LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
MENTION = re.compile(r"(?<![/.\w])docs/[A-Za-z0-9_/-]+(?:\.md)?")


def replaced(text: str, part: Part) -> str:
    """`text` with the part written anew. Raises ValueError where its two marks are not there exactly once."""
    marks = re.compile(rf"(<!-- generated: {re.escape(part.name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    written, count = marks.subn(lambda match: f"{match[1]}{part.write()}\n{match[2]}", text)
    if count != 1:
        raise ValueError(f"{part.file}: the marks of the generated part {part.name!r} stand there {count} times")
    return written


def stale(write: bool) -> Iterator[str]:
    """The parts that are out of step, after writing them where `write`."""
    for part in PARTS:
        path = ROOT / part.file
        text = path.read_text(encoding="utf-8")
        fresh = replaced(text, part)
        if fresh == text:
            continue
        if write:
            path.write_text(fresh, encoding="utf-8")
            print(f"wrote {part.name} in {part.file}")
        else:
            yield f"{part.file}: {part.name} is out of step with the code: make docs"


def broken_links() -> Iterator[str]:
    """Relative links of Markdown files that lead nowhere."""
    for page in files("*.md"):
        for match in LINK.finditer(page.read_text(encoding="utf-8")):
            if not (page.parent / match[1]).exists():
                yield f"{page.relative_to(ROOT)}: link to {match[1]} leads nowhere"


def broken_mentions() -> Iterator[str]:
    """Pages under docs/ that the code speaks of and that are not there; a decision's number is enough of a name.
    Tests may speak of what they make up."""
    for source in files("gateway", "providers", "normalization", "scripts", "pyproject.toml", "Makefile", ".ci"):
        for match in MENTION.finditer(source.read_text(encoding="utf-8", errors="replace")):
            if not (ROOT / match[0]).exists() and not any(ROOT.glob(f"{match[0]}*")):
                yield f"{source.relative_to(ROOT)}: speaks of {match[0]}, which is not there"


def main() -> int:
    faults = [*stale("--write" in sys.argv[1:]), *broken_links(), *broken_mentions()]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
