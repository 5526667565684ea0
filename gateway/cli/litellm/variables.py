"""Where the keys go: each literal becomes a variable, and no text of ours ever holds one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gateway.config.variables import has_variables


class Variables:
    """The variables that the translated file reads. Those that stand for a literal are `made`."""

    def __init__(self, taken: Iterable[str]) -> None:
        """`taken` are names that mean something already."""
        self._taken = set(taken)
        self._of_literal: dict[str, str] = {}
        self.made: list[str] = []
        self.read: dict[str, str] = {}
        """Name to what it stands for: secret, address or number."""

    def secret(self, value: str, wish: str) -> str:
        """A reference for a secret: its own where it is one, else to a variable named like `wish`."""
        if has_variables(value):
            return str(self.reference(value, "secret"))
        name = self._of_literal.get(value)
        if name is None:
            name = self._free(wish)
            self._of_literal[value] = name
            self.made.append(name)
        return str(self.reference(f"${{{name}}}", "secret"))

    def reference(self, value: Any, kind: str) -> Any:
        """The value as it is; the variables in it are noted as read."""
        if isinstance(value, str):
            for name in re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)", value):
                self.read.setdefault(name, kind)
                self._taken.add(name)
        return value

    def _free(self, wish: str) -> str:
        stem = re.sub(r"[^A-Z0-9]+", "_", wish.upper()).strip("_")
        stem = stem if stem and not stem[0].isdigit() else f"KEY_{stem}"
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name)
        return name
