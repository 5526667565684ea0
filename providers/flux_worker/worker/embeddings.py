"""What text encoders made of prompts of late, kept by their bytes: the same prompt is encoded once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from providers.flux_worker.worker.families.runs import Text


class Embeddings:
    """The latest, of at most so many bytes together; 0 keeps none. The engine's thread alone uses it."""

    def __init__(self, bytes_most: int) -> None:
        self.bytes_most = bytes_most
        self.bytes = 0
        self._texts: OrderedDict[Hashable, Text] = OrderedDict()

    def get(self, key: Hashable) -> Text | None:
        text = self._texts.get(key)
        if text is not None:
            self._texts.move_to_end(key)
        return text

    def put(self, key: Hashable, text: Text) -> None:
        if text.bytes > self.bytes_most:
            return
        replaced = self._texts.pop(key, None)
        self.bytes += text.bytes - (0 if replaced is None else replaced.bytes)
        self._texts[key] = text
        while self.bytes > self.bytes_most:
            _, dropped = self._texts.popitem(last=False)
            self.bytes -= dropped.bytes

    def clear(self) -> None:
        """Give the memory back."""
        self._texts.clear()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._texts)
