"""Views of a pack: other formats and a report, made out of the records that are shown.

None of them is evidence by itself; each says so. They can be made again from the records.
"""

NOTE = (
    "A view of the authoritative records in records.jsonl, made from them for reading. "
    "Not evidence by itself."
)
