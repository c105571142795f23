"""Reading caseload files: one meaning in both notations, and errors a person can act on."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import loader
from devices.caseload import Caseload
from devices.loader import CaseloadError, read_caseload
from devices.problems import Problem
from devices.yaml_tree import MAX_DEPTH, TreeError, read_tree
from tests.devices.samples import caseloads, sample, tree


def problems_of(data: bytes | str, name: str = "cases.yaml") -> tuple[Problem, ...]:
    if not isinstance(data, bytes):
        data = data.encode()
    with pytest.raises(CaseloadError) as caught:
        read_caseload(data, name)
    return caught.value.problems


def changed(path: tuple[Any, ...], value: Any) -> str:
    """The sample as indented JSON with one value replaced."""
    damaged = tree()
    target = damaged
    for part in path[:-1]:
        target = target[part]
    target[path[-1]] = value
    return json.dumps(damaged, indent=2)


def test_json_and_yaml_mean_the_same() -> None:
    text = json.dumps(tree())
    assert read_caseload(text.encode(), "a.json") == sample()
    assert read_caseload(text.encode(), "a.yaml") == sample()
    assert read_caseload(yaml.safe_dump(tree()).encode(), "a.yml") == sample()
    assert read_caseload(b"\xef\xbb\xbf" + text.encode(), "upload") == sample()


@settings(max_examples=30)
@given(caseloads())
def test_a_written_caseload_reads_back(caseload: Caseload) -> None:
    data = msgspec.json.encode(caseload)
    assert read_caseload(data, "a.json") == caseload
    assert (
        read_caseload(yaml.safe_dump(msgspec.to_builtins(caseload)).encode(), "a.yaml") == caseload
    )


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn"))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc12: #-", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES.filter(lambda value: value is not None))
def test_json_read_as_yaml_is_the_same_value(value: Any) -> None:
    assert read_tree(json.dumps(value, ensure_ascii=False)).value == value


@pytest.mark.parametrize(
    "word", ["12:30", "on", "yes", "2026-11-23", "0o7", "007", "1_000", ".5", "=", "<<"]
)
def test_yaml_words_that_json_has_not_stay_strings(word: str) -> None:
    assert read_tree(f"a: {word}").value == {"a": word}


def test_schedule_times_need_no_quotes() -> None:
    text = yaml.safe_dump(tree()).replace("'21:00'", "21:00").replace("'06:00'", "06:00")
    assert "from: 21:00" in text
    assert read_caseload(text.encode(), "a.yaml") == sample()


def test_a_schema_problem_names_line_and_field() -> None:
    text = changed(("orders", 0, "conditions", 0, "alert_m"), "far")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if '"far"' in row)
    for name in ("cases.json", "cases.yaml"):
        (problem,) = problems_of(text, name)
        assert (problem.line, problem.field) == (line, "orders[0].conditions[0].alert_m")
        assert "expected float, got str; write a number" in problem.message


def test_lines_are_found_in_json_with_tabs() -> None:
    text = changed(("people", 1, "role"), "warden").replace("  ", "\t")
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "warden" in row)
    (problem,) = problems_of(text, "cases.json")
    assert (problem.line, problem.field) == (line, "people[1].role")
    assert "wearer, protected" in problem.message


@pytest.mark.parametrize(
    ("path", "value", "field", "advice"),
    [
        (("devices", 0, "id"), 4711, "devices[0].id", "put it in quotes"),
        (("devices", 0, "id"), "a b", "devices[0].id", "letters, digits"),
        (("devices", 0, "kind"), "phone", "devices[0].kind", "tag, handset, home_unit"),
        (("devices", 0, "colour"), "red", "devices[0].colour", "not a field known here"),
        (("devices", 0), {"kind": "tag"}, "devices[0].id", "is missing"),
        (("devices", 0, "fix_interval_s"), 0, "devices[0].fix_interval_s", "> 0"),
        (("assignments", 0, "from"), "2026-01-01", "assignments[0].from", "with its offset"),
        (("assignments", 0, "from"), "2026-01-01T00:00:00", "assignments[0].from", "offset"),
        (
            ("orders", 0, "conditions", 0, "type"),
            "near",
            "orders[0].conditions[0].type",
            "proximity",
        ),
        (
            ("orders", 0, "conditions", 2, "schedule", 0, "from"),
            "25:00",
            "orders[0].conditions[2].schedule[0].from",
            "07:30",
        ),
        (
            ("orders", 0, "conditions", 2, "schedule", 0, "days", 1),
            "tu",
            "orders[0].conditions[2].schedule[0].days[1]",
            "mon, tue",
        ),
        (
            ("orders", 0, "conditions", 2, "circle", "radius_m"),
            50_001,
            "orders[0].conditions[2].circle.radius_m",
            "50 km at most",
        ),
        (
            ("orders", 0, "conditions", 1, "buffer_m"),
            1e9,
            "orders[0].conditions[1].buffer_m",
            "50 km at most",
        ),
        (
            ("orders", 0, "conditions", 2, "circle", "radius_m"),
            -5,
            "orders[0].conditions[2].circle.radius_m",
            "> 0",
        ),
        (
            ("orders", 0, "conditions", 1, "corridors"),
            [{"geometry": {}, "width_m": 60, "name": "x"}],
            "orders[0].conditions[1].corridors[0].name",
            "not a field known here",
        ),
        (
            ("orders", 0, "conditions", 1, "corridors"),
            [{"geometry": {}}],
            "orders[0].conditions[1].corridors[0].width_m",
            "is missing",
        ),
        (("people", 2, "language"), "spanish", "people[2].language", "en-GB"),
        (("people",), None, "people", "give a value"),
        (("persons",), [], "persons", "not a field known here"),
    ],
)
def test_what_is_wrong_and_what_to_do(
    path: tuple[Any, ...], value: Any, field: str, advice: str
) -> None:
    (problem,) = problems_of(changed(path, value))
    assert problem.field == field
    assert advice in problem.message
    assert problem.line is not None


def test_all_schema_problems_are_found_at_once() -> None:
    damaged = tree()
    damaged["people"][0]["role"] = "x"
    damaged["devices"][2]["kind"] = "x"
    damaged["orders"][0]["wearer"] = 5
    damaged["orders"][0]["conditions"][0]["alert_m"] = -1
    damaged["orders"][0]["conditions"][2]["circle"]["lat"] = 91
    damaged["extra"] = 1
    fields = {problem.field for problem in problems_of(json.dumps(damaged, indent=1))}
    assert fields == {
        "people[0].role",
        "devices[2].kind",
        "orders[0].wearer",
        "orders[0].conditions[0].alert_m",
        "orders[0].conditions[2].circle.lat",
        "extra",
    }


def test_all_rule_problems_are_found_at_once_with_lines() -> None:
    damaged = tree()
    damaged["orders"][0]["agency"] = "nobody"
    damaged["orders"][0]["time_zone"] = "Madrid"
    text = json.dumps(damaged, indent=1)
    found = problems_of(text, "cases.json")
    rows = text.splitlines()
    assert [problem.field for problem in found] == ["orders[0].agency", "orders[0].time_zone"]
    assert "nobody" in rows[(found[0].line or 0) - 1]
    assert "Madrid" in rows[(found[1].line or 0) - 1]


def test_a_missing_field_points_to_its_object() -> None:
    text = "people:\n  - id: a\n    role: wearer\n  - id: b\n"
    (problem,) = problems_of(text)
    assert (problem.line, problem.field) == (4, "people[1].role")


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_a_key_given_twice_is_refused(name: str) -> None:
    text = '{"people": [],\n "people": []}'
    (problem,) = problems_of(text, name)
    assert problem.line == 2
    assert "twice" in problem.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("people: [", 1, "did not find"),
        ("people:\n  - id: a\n   role: b", 3, ""),
        ("a: &x [1]\nb: *x", 2, "alias"),
        ("a: !!python/object:os.system x", 1, "tags"),
        ("a: !thing {}", 1, "tags"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("? [a]\n: 1", 1, "cannot be a key"),
    ],
)
def test_yaml_that_is_refused(text: str, line: int, message: str) -> None:
    (problem,) = problems_of(text)
    assert problem.line in {line, line + 1}
    assert message in problem.message


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000])
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_deep_nesting_is_refused_and_harms_nobody(text: str, name: str) -> None:
    assert problems_of(text, name)


def test_nesting_up_to_the_limit_is_read() -> None:
    assert read_tree("[" * MAX_DEPTH + "]" * MAX_DEPTH).value
    with pytest.raises(TreeError, match="levels of nesting"):
        read_tree("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"people:\n- \xff", "UTF-8"),
        (b"[]", "expected object"),
        (b"5", "expected object"),
        (b'{"people": NaN}', "NaN"),
        (b'{"people": 1e5, "x": 123' + b"4" * 5000 + b"}", "number"),
        (b'{"people": }', "not JSON"),
    ],
)
def test_files_that_are_no_caseload(data: bytes, message: str) -> None:
    problems = problems_of(data, "upload")
    assert message in problems[0].message


def test_an_empty_caseload_is_written_out() -> None:
    assert read_caseload(b"{}", "a.yaml") == Caseload()


def test_a_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_FILE_BYTES", 100)
    (problem,) = problems_of(b"{}" + b" " * 99)
    assert "split it" in problem.message


@given(st.binary(max_size=60) | st.text("{}[]:,-\"'&*!|>%@`#? \n\tab1.", max_size=60))
def test_nonsense_raises_nothing_else(nonsense: bytes | str) -> None:
    data = nonsense if isinstance(nonsense, bytes) else nonsense.encode()
    for name in ("a.json", "a.yaml", "a"):
        with suppress(CaseloadError):
            read_caseload(data, name)


def test_the_text_names_the_file_and_is_bounded() -> None:
    damaged = {"people": [{"id": f"p{i}", "role": "x"} for i in range(200)]}
    with pytest.raises(CaseloadError) as caught:
        read_caseload(json.dumps(damaged).encode(), "cases.json")
    text = str(caught.value)
    assert text.startswith("cases.json: 200 problems; nothing was loaded")
    assert text.endswith("and 150 more")
    assert len(caught.value.problems) == 200


def addition(**changes: Any) -> bytes:
    """A file that is complete only on top of the sample."""
    order = tree()["orders"][0] | {"id": "order-2", "wearer": "w2"}
    order["conditions"] = [order["conditions"][0] | {"id": "new"}]
    return json.dumps({"orders": [order], **changes}, indent=1).encode()


def test_a_file_may_refer_to_what_is_in_force() -> None:
    assert {p.field for p in problems_of(addition())} >= {"orders[0].agency", "orders[0].wearer"}
    caseload = read_caseload(addition(), "more.json", below=sample())
    assert [order.id for order in caseload.orders] == ["order-2"]
    assert caseload.people == ()


def test_lines_are_given_only_for_what_stands_in_the_file() -> None:
    data = addition(people=[{"id": "p1", "role": "wearer"}])
    with pytest.raises(CaseloadError) as caught:
        read_caseload(data, "more.json", below=sample())
    by_field = {problem.field: problem for problem in caught.value.problems}
    own = by_field["orders[0].conditions[0].protected"]
    assert b'"protected": "p1"' in data.splitlines()[(own.line or 0) - 1]
    others = by_field["assignments[2].person"]
    assert others.line is None
    assert "in force already" in others.message


def test_deep_json_is_refused_where_it_is_free_to_be() -> None:
    deep = json.loads("[" * 500 + "]" * 500)
    (problem,) = problems_of(
        changed(("orders", 0, "conditions", 1, "geometry", "bbox"), deep), "a.json"
    )
    assert "levels of nesting" in problem.message
