"""Facts about texts."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.text import Counts, Error


class Text(exports.Text):
    def count(self, text: str) -> Counts:
        words = text.split()
        if not words:
            raise Err(Error.NO_WORDS)
        lines = [line for line in text.splitlines() if line.strip()]
        return Counts(words=len(words), lines=len(lines), characters=len(text))
