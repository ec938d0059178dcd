"""A column of a table as it was written, in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator


class Texts:
    """Texts by number, kept as one run of bytes: a year of minutes has half a million of them."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._data = bytearray()
        self._ends = array("q", [0])
        for text in texts:
            self.append(text)

    def append(self, text: str) -> None:
        """Put one more text at the end."""
        self._data += text.encode()
        self._ends.append(len(self._data))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:
        place = range(len(self))[index]
        return self._data[self._ends[place] : self._ends[place + 1]].decode()

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))
