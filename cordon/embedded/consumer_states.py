"""How far nats-server's consumers had come, after a power cut: files that it does not force.

nats-server leaves out a consumer whose state it cannot read. If it is that of a session, messages for the
session are acknowledged to devices from then on and thrown away, for ever. Of one whose state is empty
everything that was not acknowledged is delivered again, which harms nobody. So what is torn is made
empty before the server starts; what is gone, too: nats-server would begin behind what waits.
"""

from __future__ import annotations

from pathlib import Path

from devices.durable import write_durably

STATE = "o.dat"
_DESCRIPTION = "meta.inf"
_MESSAGES = "$MQTT_msgs"
_MAGIC, _VERSIONS = 22, (1, 2)
_CONTINUES = 0x80


def empty_torn_states(store: Path) -> list[str]:
    """Make empty what cannot be read. Returns the names of the consumers, after their streams.

    Args:
        store: The broker's JetStream folder; nothing runs on it.

    Raises:
        OSError: A file cannot be read or written.
    """
    emptied = []
    for consumer in sorted(store.glob("jetstream/*/streams/*/obs/*")):
        state, stream = consumer / STATE, consumer.parents[1].name
        if state.exists():
            torn = not is_whole(state.read_bytes())
        else:
            torn = stream == _MESSAGES and (consumer / _DESCRIPTION).exists()
        if torn:
            write_durably(state, b"")
            emptied.append(f"{stream} {consumer.name}")
    return emptied


def is_whole(data: bytes) -> bool:
    """Whether it is a state, empty, or of a layout that is not known here.

    Magic, version, then numbers of 7 bits a byte: acknowledged and delivered up to (two each), how many
    wait for their acknowledgement, the least of their times and two or three numbers for each, how
    many were delivered again and two numbers for each.
    """
    if not data:
        return True
    if data[0] != _MAGIC or len(data) < 2 or data[1] == 0:
        return False
    if data[1] not in _VERSIONS:
        return True
    numbers, number, shift = [], 0, 0
    for byte in data[2:]:
        number |= (byte & ~_CONTINUES) << shift
        shift += 7
        if not byte & _CONTINUES:
            numbers.append(number)
            number = shift = 0
    if shift or len(numbers) < 6:
        return False
    waiting = numbers[4]
    at = 5 + (1 + waiting * (data[1] + 1) if waiting else 0)
    return at < len(numbers) and len(numbers) == at + 1 + 2 * numbers[at]
