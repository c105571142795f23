"""A description of a pack in CASE/UCO (CASE 1.4, UCO 1.4), as JSON-LD, for tools that exchange such.

It says who made the pack, when, with what and for what, and which files it consists of, by their
digests. The records themselves are not repeated in it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SPACES = {
    "case-investigation": "https://ontology.caseontology.org/case/investigation/",
    "uco-action": "https://ontology.unifiedcyberontology.org/uco/action/",
    "uco-core": "https://ontology.unifiedcyberontology.org/uco/core/",
    "uco-identity": "https://ontology.unifiedcyberontology.org/uco/identity/",
    "uco-observable": "https://ontology.unifiedcyberontology.org/uco/observable/",
    "uco-tool": "https://ontology.unifiedcyberontology.org/uco/tool/",
    "uco-types": "https://ontology.unifiedcyberontology.org/uco/types/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_EVIDENCE = {
    "records.jsonl": "the records, in the bytes that were sealed: the evidence itself",
    "proof.json": "what proves the records: batches, tree hashes, the signed head of the log",
}

Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PackFile:
    """A file of a pack; its name is its path within it."""

    name: str
    size_bytes: int
    sha256: str


def case_uco(custody: Mapping[str, str], files: Sequence[PackFile]) -> Node:
    """The document, the same for the same custody and files.

    Args:
        custody: As in the last line of ``custody.jsonl``.
        files: Of the pack.
    """
    space = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:cordon:pack:{custody['disclosure']}")

    def name(kind: str, what: str = "") -> str:
        return f"kb:{kind}-{uuid.uuid5(space, f'{kind} {what}')}"

    actor, recipient = name("identity", "actor"), name("identity", "recipient")
    tool, record = name("tool"), name("provenance-record")
    nodes: list[Node] = [
        _named(actor, "uco-identity:Identity", custody["exported_by"]),
        _named(recipient, "uco-identity:Identity", custody["recipient"], "recipient of the pack"),
        _named(tool, "uco-tool:Tool", "Cordon"),
        *(_file(name, file) for file in files),
    ]
    ids = [{"@id": name("file", file.name)} for file in files]
    nodes.append(
        _named(record, "case-investigation:ProvenanceRecord", custody["disclosure"])
        | {"uco-core:description": custody["note"], "uco-core:object": ids}
    )
    action = _named(
        name("investigative-action"),
        "case-investigation:InvestigativeAction",
        "Export of sealed records",
        f"Purpose: {custody['purpose']}. Window: {custody['from']} to {custody['to']}. "
        f"Made for the side: {custody['side']}.",
    )
    action |= {
        "uco-action:startTime": {"@type": "xsd:dateTime", "@value": custody["exported_at"]},
        "uco-action:performer": {"@id": actor},
        "uco-action:participant": {"@id": recipient},
        "uco-action:instrument": {"@id": tool},
        "uco-action:result": [{"@id": record}, *ids],
    }
    nodes.append(action)
    case = _named(name("investigation"), "case-investigation:Investigation", custody["case"])
    case["uco-core:object"] = [{"@id": node["@id"]} for node in nodes]
    return {
        "@context": {"kb": f"urn:cordon:pack:{space}:", **_SPACES},
        "@graph": [case, *nodes],
    }


def _named(node_id: str, kind: str, name: str, description: str = "") -> Node:
    node = {"@id": node_id, "@type": kind, "uco-core:name": name}
    return node | ({"uco-core:description": description} if description else {})


def _file(name: Any, file: PackFile) -> Node:
    digest = {
        "@id": name("hash", file.name),
        "@type": "uco-types:Hash",
        "uco-types:hashMethod": "SHA256",
        "uco-types:hashValue": {"@type": "xsd:hexBinary", "@value": file.sha256},
    }
    facets = [
        {
            "@id": name("file-facet", file.name),
            "@type": "uco-observable:FileFacet",
            "uco-observable:fileName": file.name.rpartition("/")[2],
            "uco-observable:filePath": file.name,
            "uco-observable:sizeInBytes": {"@type": "xsd:integer", "@value": str(file.size_bytes)},
        },
        {
            "@id": name("content-data-facet", file.name),
            "@type": "uco-observable:ContentDataFacet",
            "uco-observable:hash": digest,
        },
    ]
    about = _EVIDENCE.get(file.name, "made from the records, or for checking them; not evidence")
    node = _named(name("file", file.name), "uco-observable:File", file.name, about)
    return node | {"uco-core:hasFacet": facets}
