"""The signing keys of the registry in force, as whoever decodes messages asks for them."""

from __future__ import annotations

from cordon.identity.registry_feed import RegistryCopy
from devices.credentials import Registry
from devices.signing import SigningKey
from ingest.signatures import DeviceKeys, Ed25519Key, HmacKey, VerifyingKey


class RegisteredKeys:
    """Finds the keys of devices in a copy of the registry, whichever version that has come to.

    Args:
        copy: Follows the registry. Before it has read one, nobody has a key: wait for `looked`.
    """

    def __init__(self, copy: RegistryCopy) -> None:
        self._copy = copy
        self._registry: Registry | None = None
        self._made: dict[str, DeviceKeys] = {}

    def of(self, device: str) -> DeviceKeys | None:
        """See `ingest.signatures.Keys.of`."""
        registry = self._copy.registry
        if registry is None:
            return None
        if registry is not self._registry:
            self._registry, self._made = registry, {}
        found = self._made.get(device)
        if found is not None:
            return found
        held = registry.signs(device)
        if not held.keys and not held.must_sign:
            return None
        keys = {key.number: verifying(key) for key in held.keys}
        self._made[device] = DeviceKeys(keys, required=held.must_sign)
        return self._made[device]


def verifying(key: SigningKey) -> VerifyingKey:
    """What checks the signatures of a key that is not ``none``."""
    return Ed25519Key(key.key) if key.algorithm == "ed25519" else HmacKey(key.key)
