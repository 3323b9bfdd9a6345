"""Breaks a text into lines while it streams in: between words, and between Chinese characters."""

from __future__ import annotations

from rich.cells import cell_len

_NOT_FIRST = frozenset("，。！？；：、）》」』】”’…,.!?;:)]}%")
"""Marks that do not begin a line; they may stand in the last cells of one."""
_SPARE = 4


class Wrap:
    """Takes pieces of a text and gives back what can be written now; a word is held back until it is whole."""

    def __init__(self, width: int) -> None:
        self._width = max(1, width - _SPARE)
        self._column = 0
        self._word = ""

    def feed(self, piece: str) -> str:
        """What can be written once `piece` has come."""
        written = ""
        for sign in piece:
            if sign == "\n":
                written += self.flush() + sign
                self._column = 0
            elif sign.isspace():
                written += self.flush()
                if self._column < self._width:
                    written += sign
                    self._column += 1
            elif cell_len(sign) > 1:
                written += self.flush() + self._put(sign)
            else:
                self._word += sign
        return written

    def flush(self) -> str:
        """The word that was held back."""
        word, self._word = self._word, ""
        return self._put(word) if word else ""

    def _put(self, word: str) -> str:
        cells = cell_len(word)
        breaks = self._column > 0 and self._column + cells > self._width and word[0] not in _NOT_FIRST
        self._column = cells if breaks else self._column + cells
        if self._column > self._width + _SPARE:  # longer than a line: the terminal breaks it
            self._column %= self._width + _SPARE
        return f"\n{word}" if breaks else word
