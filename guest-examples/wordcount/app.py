"""Counts the words of a text."""

import re
from collections import Counter

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.wordcount import Entry, Error_NoWords


class Wordcount(exports.Wordcount):
    def count(self, text: str) -> list[Entry]:
        counts = Counter(re.findall(r"\w+(?:['’]\w+)*", text.lower()))
        if not counts:
            raise Err(Error_NoWords())
        return [Entry(word, count) for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
