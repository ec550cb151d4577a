"""Make entity tags, and find them in ``If-Match`` or ``If-None-Match`` (RFC 9110, 8.8.3, 13.1).

The list is searched, not split, because 16 KB have room for 5,000 tags and a hit takes 10 us. A tag
contains no quote. So a quote behind an even number of quotes begins a tag.
"""

import hashlib
import re

_END = re.compile("")


def digest(body: bytes) -> bytes:
    """Return the strong tag of ``body``, which is the same on every replica."""
    return b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()


def names(condition: str, tag: str, *, weak: bool, end: re.Pattern[str] = _END) -> bool:
    """Return whether ``condition`` is ``*`` or lists ``tag``, by weak or by strong comparison.

    ``tag`` begins with its quote. If it is only a beginning, ``end`` matches the rest of the tag.
    """
    if condition.strip() == "*":
        return True
    quotes = start = 0
    while (found := condition.find(tag, start)) >= 0:
        quotes += condition.count('"', start, found)
        is_tag = quotes % 2 == 0 and end.match(condition, found + len(tag)) is not None
        if is_tag and (weak or not condition.endswith("W/", 0, found)):
            return True
        quotes, start = quotes + 1, found + 1
    return False
