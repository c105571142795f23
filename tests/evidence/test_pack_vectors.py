"""Published vectors: both verifiers, one in Python and one in a browser, come to each verdict."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from evidence.pack_forgeries import FILE_FORGERIES, FORGERIES
from evidence.pack_vectors import OTHERWISE_SEALED, vectors_text
from evidence.single_file import page_text, verifier_text
from tests.console.browsing import launch_chromium

FILE = Path(__file__).parents[2] / "docs" / "vectors" / "packs.json"
VECTORS = json.loads(FILE.read_text())
PACKS: list[dict[str, Any]] = VECTORS["packs"]
KEYS = "\n".join(VECTORS["keys"])
MUTATIONS = 40


Given = tuple[list[str], dict[str, Any], dict[str, str]]
"""Records, proof, and the other files of a pack."""


def given_of(pack: dict[str, Any]) -> Given:
    return pack["records"], pack["proof"], pack["files"]


def python_verdict(
    folder: Path, records: list[str], proof: dict[str, Any], files: dict[str, str]
) -> int:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "verify.py").write_text(verifier_text())
    (folder / "keys").write_text(KEYS)
    (folder / "records.jsonl").write_text("".join(line + "\n" for line in records))
    (folder / "proof.json").write_text(json.dumps(proof))
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), str(folder), "--json"]
    command += ["--keys", str(folder / "keys"), "--witnesses", str(VECTORS["witnesses"])]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


def test_the_published_file_is_what_the_command_writes() -> None:
    assert vectors_text(FILE.read_text()) == FILE.read_text(), "cordon evidence vectors " + str(
        FILE
    )
    assert len(PACKS) == len(FORGERIES) + len(FILE_FORGERIES) + len(OTHERWISE_SEALED) + 1
    assert {pack["exit_code"] for pack in PACKS} == {0, 1, 2, 3}


@pytest.mark.parametrize("pack", PACKS, ids=[pack["name"] for pack in PACKS])
def test_verify_py(pack: dict[str, Any], tmp_path: Path) -> None:
    assert python_verdict(tmp_path, *given_of(pack)) == pack["exit_code"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """The page as a court opens it: from a folder."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "verify.html").write_text(page_text())
    async with async_playwright() as playwright:
        browser = await launch_chromium(playwright)
        opened = await browser.new_page()
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        await opened.goto((folder / "verify.html").as_uri())
        yield opened
        assert asked == [(folder / "verify.html").as_uri()], "it asks for nothing but itself"
        await browser.close()


async def browser_verdicts(page: Page, packs: list[Given]) -> list[int]:
    given = [
        ["\n".join(records) + "\n", json.dumps(proof), files] for records, proof, files in packs
    ]
    found: list[int] = await page.evaluate(
        "([packs, keys, needed]) => packs.map(([records, proof, files]) => verifyPack(records, proof, keys,"
        " needed, new Map(Object.entries(files).map(([name, text]) =>"
        " [name.split('/').pop(), utf8(text)]))).exit_code)",
        [given, KEYS, VECTORS["witnesses"]],
    )
    return found


@pytest.mark.asyncio(loop_scope="module")
async def test_verify_html(page: Page) -> None:
    found = await browser_verdicts(page, [given_of(pack) for pack in PACKS])
    names = [pack["name"] for pack in PACKS]
    wanted = [pack["exit_code"] for pack in PACKS]
    assert dict(zip(names, found, strict=True)) == dict(zip(names, wanted, strict=True))


def mutated(random_: random.Random) -> Given:
    """The whole pack with one character of its records or of a proof's hexadecimal changed."""
    pack = PACKS[1]
    records, proof = list(pack["records"]), json.loads(json.dumps(pack["proof"]))
    line = random_.randrange(len(records))
    at = random_.randrange(len(records[line]))
    new = random_.choice('0123456789abcdef,[]"')
    records[line] = records[line][:at] + new + records[line][at + 1 :]
    return records, proof, pack["files"]


@pytest.mark.asyncio(loop_scope="module")
async def test_both_come_to_the_same_verdict(page: Page, tmp_path: Path) -> None:
    packs = [mutated(random.Random(seed)) for seed in range(MUTATIONS)]
    found = await browser_verdicts(page, packs)
    for number, (pack, verdict) in enumerate(zip(packs, found, strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        wanted = python_verdict(folder, *pack)
        # Whether broken text is "altered" or "no pack" may differ; whether it is proven may not.
        assert (verdict == 0) == (wanted == 0), (number, verdict, wanted)
        assert {verdict, wanted} <= {0, 1, 2}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_person_checks_a_pack(page: Page, tmp_path: Path) -> None:
    pack = PACKS[0]
    (tmp_path / "records.jsonl").write_text("\n".join(pack["records"]) + "\n")
    (tmp_path / "proof.json").write_text(json.dumps(pack["proof"]))
    files = [tmp_path / "records.jsonl", tmp_path / "proof.json"]
    for name, text in pack["files"].items():
        files.append(tmp_path / Path(name).name)
        files[-1].write_text(text)
    await page.set_input_files("#files", [str(file) for file in files])
    await page.click("#check")
    await page.wait_for_selector(".verdict-3")
    await page.fill("#keys", KEYS)
    await page.click("#check")
    await page.wait_for_selector(".verdict-0")
    said = await page.inner_text("#said")
    assert "fix of tag-1: places 1 to 6 are complete; shown: 5, withheld: 1" in said
    assert "Witness one.example/w signed at" in said
    assert "by ML-DSA-44" in said
    assert "Approved by Insp Okafor" in said
    assert "is there as it was taken in" in said
    (tmp_path / "records.jsonl").write_text("\n".join(pack["records"][1:]) + "\n")
    await page.set_input_files("#files", [str(file) for file in files])
    await page.click("#check")
    await page.wait_for_selector(".verdict-1")


def test_the_page_can_ask_nobody() -> None:
    text = page_text()
    assert "default-src 'none'" in text
    for word in (
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "http:",
        "https:",
        "innerHTML",
        "import(",
    ):
        assert word not in text
