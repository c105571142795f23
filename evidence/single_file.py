"""Puts the parts of each verifier into the one file that goes into every pack."""

from __future__ import annotations

import ast
from importlib import resources

PARTS = ("ed25519", "mldsa", "trees", "signed_notes", "records", "custody", "program")
"""In the order in which they stand in the file: each uses only those before it."""

PAGE_PARTS = ("hashes", "ed25519", "mldsa", "custody", "pack", "page")
"""Of the page, likewise."""

_HEAD = '''#!/usr/bin/env python3
"""Verifies a pack of evidence, with nothing but Python 3.9 or later: python3 verify.py FOLDER.

Written apart from the program that sealed the records, from the description of the formats. It
checks that every record shown is one that was sealed, that no record is missing in the runs that
are shown, and that the log that holds them was signed by its own key and by independent witnesses.
It cannot tell whether a position was true when the device sent it.

Ends with 0: all is proven; 1: something was altered or is missing; 2: this is no pack;
3: nothing is wrong, but too few witnesses signed, or their keys were not given with --keys.
"""
'''


def verifier_text() -> str:
    """The program, the same to the byte for the same parts."""
    imports: set[str] = set()
    bodies = []
    for part in PARTS:
        text = resources.files("evidence.verifier").joinpath(f"{part}.py").read_text()
        bodies.append(_body(text, imports))
    plain = sorted(line for line in imports if line.startswith("import "))
    named = sorted(imports - set(plain))
    return "\n".join([_HEAD, *plain, *named, *bodies])


def _body(text: str, imports: set[str]) -> str:
    """A part without its imports, its docstring as a comment; other modules go to `imports`."""
    tree, lines = ast.parse(text), text.splitlines()
    said = ast.get_docstring(tree)
    assert said is not None, "each part says what it is"
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert node.end_lineno is not None
            own = isinstance(node, ast.ImportFrom) and str(node.module).startswith("evidence.")
            if not own:
                imports.add("\n".join(lines[node.lineno - 1 : node.end_lineno]))
            for number in range(node.lineno - 1, node.end_lineno):
                lines[number] = "\0"
    first = tree.body[0].end_lineno
    assert first is not None
    rest = "\n".join(line for line in lines[first:] if line != "\0").strip("\n")
    comment = "\n".join(f"# {line}".rstrip() for line in said.splitlines())
    return f"\n\n{comment}\n\n{rest}\n"


def page_text() -> str:
    """The page with the second verifier, the same to the byte for the same parts."""
    folder = resources.files("evidence.verifier_page")
    scripts = [folder.joinpath(f"{part}.js").read_text() for part in PAGE_PARTS]
    return folder.joinpath("page.html").read_text().replace("SCRIPT\n", "\n".join(scripts))
