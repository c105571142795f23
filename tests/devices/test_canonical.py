"""One form for every caseload that means the same."""

from collections.abc import Mapping

import msgspec
from hypothesis import given, settings

from devices.canonical import canonical, digest, encode, merged
from devices.caseload import Caseload
from tests.devices.samples import caseloads, sample, tree


@settings(max_examples=50)
@given(caseloads())
def test_it_is_its_own_canonical_form_and_survives_encoding(caseload: Caseload) -> None:
    once = canonical(caseload)
    assert canonical(once) == once
    assert msgspec.json.decode(encode(once), type=Caseload) == once


def test_the_same_meaning_has_the_same_digest() -> None:
    other = tree()
    for section in other.values():
        section.reverse()
    other["assignments"][0]["from"] = "2025-12-31T19:00:00-05:00"
    school = other["orders"][0]["conditions"][1]["geometry"]
    school["bbox"] = [1, 2, 3, 4]
    school["coordinates"] = [[[*position, 7] for position in school["coordinates"][0]]]
    other["orders"][0]["conditions"][2]["buffer_m"] = -0.0
    assert digest(canonical(msgspec.convert(other, Caseload))) == digest(canonical(sample()))


def test_a_corridors_line_is_reduced_as_a_zones_outline_is() -> None:
    def with_way(geometry: Mapping[str, object]) -> str:
        changed = tree()
        changed["orders"][0]["conditions"][1]["corridors"] = [{"geometry": geometry, "width_m": 60}]
        return digest(canonical(msgspec.convert(changed, Caseload)))

    plain = {"type": "LineString", "coordinates": [[-1, 51.755], [-2, 51.755]]}
    high = {"type": "LineString", "bbox": [], "coordinates": [[-1.0, 51.755, 9], [-2, 51.755, 9]]}
    assert with_way(plain) == with_way(high) != digest(canonical(sample()))


def test_another_meaning_has_another_digest() -> None:
    other = tree()
    other["people"][0]["name"] = "X"
    assert digest(canonical(msgspec.convert(other, Caseload))) != digest(canonical(sample()))


@settings(max_examples=50)
@given(caseloads(), caseloads())
def test_merging(below: Caseload, above: Caseload) -> None:
    both = merged(below, above)
    assert canonical(merged(below, below)) == canonical(below)
    assert canonical(merged(both, above)) == canonical(both)
    assert merged(Caseload(), above) == above
    assert {order.id for order in both.orders} == {o.id for o in (*below.orders, *above.orders)}
    assert all(order in both.orders for order in above.orders)
