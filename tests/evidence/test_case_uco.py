"""The description in CASE/UCO: whole, true to the files, and valid where the validator is at hand."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evidence.case_uco import PackFile, case_uco
from evidence.store import Store
from tests.evidence.case_world import build, pack
from tests.evidence.conftest import Probe
from tests.evidence.test_report import ABOUT

CUSTODY = {"case": "o1", "note": "as stated", **ABOUT.custody}
FILES = [PackFile("records.jsonl", 10, "ab" * 32), PackFile("views/track.gpx", 9, "cd" * 32)]


def nodes_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every node of the document, however deep."""
    if isinstance(value, dict):
        if "@type" in value and "@id" in value:
            yield value
        for part in value.values():
            yield from nodes_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from nodes_in(part)


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.keys() == {"@id"}:
            yield value["@id"]
        for part in value.values():
            yield from references_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from references_in(part)


def test_it_is_whole() -> None:
    document = case_uco(CUSTODY, FILES)
    ids = [node["@id"] for node in nodes_in(document["@graph"])]
    assert len(ids) == len(set(ids))
    assert set(references_in(document)) <= set(ids)
    spaces = document["@context"].keys()
    for node in nodes_in(document["@graph"]):
        terms = [key for key in (*node, node["@type"]) if not key.startswith("@")]
        assert {term.split(":")[0] for term in terms} <= spaces
    assert case_uco(CUSTODY, FILES) == document
    assert case_uco(CUSTODY | {"disclosure": "another"}, FILES) != document


async def test_it_names_the_files_of_the_pack(store: Store, probe: Probe, tmp_path: Path) -> None:
    await build(store, probe.dsn, tmp_path)
    await pack(probe.dsn, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "case.jsonld").read_text())
    files = [n for n in nodes_in(document["@graph"]) if n["@type"] == "uco-observable:File"]
    found = {}
    for node in files:
        _, content = node["uco-core:hasFacet"]
        found[node["uco-core:name"]] = content["uco-observable:hash"]["uco-types:hashValue"][
            "@value"
        ]
    there = {
        path.relative_to(tmp_path / "out").as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and path.name not in {"case.jsonld", "manifest.sha256"}
    }
    assert found == there
    [action] = [n for n in document["@graph"] if n["@type"].endswith("InvestigativeAction")]
    assert "trial 26/118" in action["uco-core:description"]


@pytest.mark.skipif(find_spec("case_utils") is None, reason="case-utils is not installed")
def test_it_is_valid_by_the_ontology(tmp_path: Path) -> None:
    program = "from case_utils.case_validate import main; main()"
    command = [sys.executable, "-c", program, "--built-version", "case-1.4.0"]
    document = case_uco(CUSTODY, FILES)
    for valid in (True, False):
        if not valid:
            _spoil(document)
        (tmp_path / "case.jsonld").write_text(json.dumps(document))
        done = subprocess.run([*command, str(tmp_path / "case.jsonld")], check=False, timeout=100)
        assert (done.returncode == 0) == valid


def _spoil(document: dict[str, Any]) -> None:
    for node in nodes_in(document["@graph"]):
        node.pop("uco-types:hashValue", None)
