"""Hashes, RFC 6962 trees, instants: what all parts use."""

import datetime as dt
import hashlib


class Altered(Exception):  # noqa: N818 - what is altered is the evidence, not this program
    """The evidence is not as it was sealed."""


def sha256(*parts):
    """SHA-256 over the parts."""
    return hashlib.sha256(b"".join(parts)).digest()


def iso(time_us):
    """An instant in microseconds since 1970 as text."""
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    return (epoch + dt.timedelta(microseconds=time_us)).isoformat()


def tree_root(leaves, size, hashes):
    """RFC 6962 root of a tree of which some leaves, and the hashes of all other parts, are known."""
    places, rest = sorted(leaves), iter(hashes)
    if not places or places[0] < 0 or places[-1] >= size:
        raise Altered("a leaf is shown that its tree does not have")

    def descend(start, end, low, high):
        if low == high:
            return next(rest)
        if end - start == 1:
            return leaves[start]
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        between = low
        while between < high and places[between] < middle:
            between += 1
        left = descend(start, middle, low, between)
        return sha256(b"\x01", left, descend(middle, end, between, high))

    try:
        root = descend(0, size, 0, len(places))
    except StopIteration:
        raise Altered("a proof has too few hashes") from None
    if next(rest, None) is not None:
        raise Altered("a proof has too many hashes")
    return root
