"""The operators on small sources: what each changes, and what none may touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import repository
from scripts.mutation import python_operators
from scripts.mutation.cairo import Source
from scripts.mutation.defects import DEFECTS, Defect, _mutants, defect_mutants
from scripts.mutation.mutants import Mutant
from scripts.mutation.operators import Operators, cairo_mutants, types_of

OPERATORS = {
    "comparison",
    "arithmetic",
    "logic",
    "constant",
    "text",
    "truth",
    "variant",
    "assert deleted",
    "event deleted",
    "write deleted",
    "statement deleted",
    "condition",
    "early return",
    "key dropped",
    "role",
    "arms swapped",
    "arguments swapped",
    "event altered",
    "fields swapped",
}


NOTHING_BUT_TYPES = {
    "contracts/interfaces/src/campaign.cairo",
    "contracts/interfaces/src/snip12.cairo",
}


def mutants_of(text: str) -> list[Mutant]:
    source = Source("contracts/src/snippet.cairo", text)
    return Operators(source, types_of([source])).mutants()


def mutated(text: str, operator: str) -> list[str]:
    """The whole text after each mutant of one operator."""
    found = [mutant for mutant in mutants_of(text) if mutant.operator == operator]
    return [text[: m.edits[0].start] + m.edits[0].new + text[m.edits[0].end :] for m in found]


def body(code: str, signature: str = "fn f(a: u32, b: u32) -> Thing") -> str:
    return f"{signature} {{\n    {code}\n}}\n"


@pytest.mark.parametrize(
    ("operator", "code", "changed"),
    [
        ("comparison", "let x = a < b;", ["let x = a <= b;"]),
        ("comparison", "let x = a <= b;", ["let x = a < b;"]),
        ("comparison", "let x = a > b;", ["let x = a >= b;"]),
        ("comparison", "let x = a >= b;", ["let x = a > b;"]),
        ("comparison", "let x = a == b;", ["let x = a != b;"]),
        ("comparison", "let x = a != b;", ["let x = a == b;"]),
        ("comparison", "assert(a < b, 'E');", ["assert(a <= b, 'E');"]),
        ("comparison", "assert(a == b && c == d, 'E');", ["a == b && c != d"]),
        ("comparison", "assert(a == b, 'E');", []),
        ("comparison", "let x = a == 'TEXT';", []),
        ("arithmetic", "let x = a + b - c;", ["a - b - c", "a + b + c"]),
        ("arithmetic", "let x = a * b / c % d;", ["a + b / c % d", "a * b * c % d", "a * b / c * d"]),
        ("arithmetic", "let x = a & b | c;", ["a | b | c", "a & b & c"]),
        ("arithmetic", "let x = a * 0x100;", []),
        ("logic", "let x = a && b || c;", ["a || b || c", "a && b && c"]),
        ("logic", "let x = a || b || c || d;", ["a && b || c || d", "a || b || c && d"]),
        ("constant", "let x = a + 0x0f;", ["a + 0x10"]),
        ("constant", "let x = 10_000;", ["10001"]),
        ("text", "let x = 'CODE';", ["'CODX'"]),
        ("text", r'let x = selector!("\"A\"(\"b\":\"felt\")");', [r'"\"A\"(\"b\":\"felX\")"']),
        ("truth", "let x = true;", ["let x = false;"]),
        ("assert deleted", "assert(a, 'E');", ["{\n    \n}"]),
        ("event deleted", "self.emit(E { a });", ["{\n    \n}"]),
        ("event deleted", "self\n.emit(E { a });", ["{\n    \n}"]),
        ("write deleted", "self.cell.write(a);", ["{\n    \n}"]),
        ("write deleted", "self\n.cells\n.write(a, b);", ["{\n    \n}"]),
        ("statement deleted", "self.done(a);", ["{\n    \n}"]),
        ("statement deleted", "if a { return; }\n b.append(c);", ["{  }", "}\n \n}"]),
        ("condition", "if !a.suspended { b } else { c }", ["if !(!a.suspended) {"]),
        ("condition", "if a < b { c }", []),
        ("role", "self.assert_admin(context);", ["self.EntityRegistry_admin.read();"]),
        ("role", "entities.assert_active(a);", ["entities.assert_registered(a);"]),
        ("role", "let x = POWER_GIVE;", ["POWER_REVOKE"]),
        (
            "arms swapped",
            "match a { 0 => b, 1 => { c }, _ => d }",
            ["0 => { c }, 1 => b", "1 => d, _ => { c }"],
        ),
        ("arguments swapped", "let x = f(c, d + 1);", ["f(d + 1, c)"]),
        ("arguments swapped", "let x = f(:a, b: c.d);", ["f(a: c.d, b: a)"]),
        ("arguments swapped", "let x = f(a: c, :b);", ["f(a: b, b: c)"]),
        ("arguments swapped", "let x = f(c, :b);", ["f(:b, c)"]),
        ("arguments swapped", "let (c, d) = e;", ["let (d, c) = e;"]),
    ],
)
def test_an_operator(operator: str, code: str, changed: list[str]) -> None:
    results = mutated(body(code), operator)
    assert len(results) == len(changed)
    for result, part in zip(results, changed, strict=True):
        assert part in result


def test_dropped_keys() -> None:
    event = (
        "struct Given {\n    #[key]\n    pub patient: felt252,\n    #[key]\n    pub grantee: felt252,\n}\n"
    )
    first, second = mutated(event, "key dropped")
    assert first.count("#[key]") == second.count("#[key]") == 1
    assert "#[key]\n    pub grantee" in first
    assert "#[key]\n    pub patient" in second


@pytest.mark.parametrize(
    ("code", "result", "value"),
    [("assert(a, 'E');", "", ""), ("a", " -> u32", " 0"), ("a < b", " -> bool", " true")],
)
def test_early_returns(code: str, result: str, value: str) -> None:
    (text,) = mutated(body(code, f"fn f(a: u32){result}"), "early return")
    assert f"{{ if true {{ return{value}; }}" in text


@pytest.mark.parametrize(("code", "result"), [("self.cell.write(a);", ""), ("a", " -> Thing")])
def test_no_early_return(code: str, result: str) -> None:
    """Where a statement is deleted already, or nothing can be made up."""
    assert not mutated(body(code, f"fn f(a: u32){result}"), "early return")


def test_arguments_of_different_types_stay_where_they_are() -> None:
    assert not mutated(body("let x = f(c, d);", "fn f(a: u32, b: u64)"), "arguments swapped")
    assert not mutated(body("let x = f(c, c);"), "arguments swapped")


def test_a_constant_is_changed_both_ways() -> None:
    assert mutated("pub const LIMIT: u32 = 100;\n", "constant") == [
        "pub const LIMIT: u32 = 101;\n",
        "pub const LIMIT: u32 = 99;\n",
    ]


def test_fields_and_events() -> None:
    struct = "struct E {\n    a: u32,\n    b: u64,\n    c: u32,\n}\n"
    assert (
        "E { a: y, b: x, c: a }"
        in mutated(struct + body("let e = E { a, b: x, c: y };"), "fields swapped")[0]
    )
    assert (
        "E { a: y, b: x, c: a }"
        in mutated(struct + body("self.emit(E { a, b: x, c: y });"), "event altered")[0]
    )
    assert not mutated(struct + body("let E { a, b, c } = e;"), "fields swapped")


def test_variants() -> None:
    enum = "enum Colour {\n    Red,\n    Blue,\n}\n"
    assert "(Colour::Red, 1)" in mutated(enum + body("let x = (Colour::Blue, 1);"), "variant")[0]
    assert not mutated(enum + body("match a { Colour::Red => x, Colour::Blue => y }"), "variant")
    assert not mutated(enum + body("let x = a == Colour::Red;"), "variant")


@pytest.mark.parametrize(
    "text",
    [
        "// a < b && true\n/// 1 + 2 == 'TEXT'\n",
        "#[derive(Drop)]\nstruct S<T, +Drop<T>> {\n    #[flat]\n    a: Map<u32, Array<T>>,\n}\n",
        "use a::{b, c};\nimpl I<T, +Drop<T>> = J<T>;\n",
        "trait T<S> {\n    fn f(self: @S, a: u32) -> Array<u32>;\n}\n",
        body("", "fn f<T, +Drop<T>>(a: @Array<u32>) -> Span<T>"),
        body("let x = *a.b; // c < d"),
        body("let x: Array<u32> = @y;"),
        "#[cfg(test)]\nmod tests {\n    fn t() { assert(1 < 2, 'E'); }\n}\n",
        "#[cfg(test)]\nmod tests;\n",
    ],
)
def test_nothing_to_change(text: str) -> None:
    assert mutants_of(text) == []


@pytest.mark.parametrize("tests", ["mod tests {\n    fn t() { let a = 1; }\n}\n", "mod tests;\n"])
def test_what_follows_the_tests_is_mutated(tests: str) -> None:
    text = f"#[cfg(test)]\n{tests}" + body("let x = a < b;")
    assert [m.operator for m in mutants_of(text)] == ["comparison"]


def test_an_id_stays_when_the_function_moves_and_goes_when_it_changes() -> None:
    code = body("let x = a < b;\n    let y = a < b;")
    before = mutants_of(code)
    moved = mutants_of("// A comment.\n" + code)
    changed = mutants_of(code.replace("let y", "let z"))
    assert len({m.id for m in before}) == len(before) == 2
    assert [m.key for m in before] == [m.key for m in moved]
    assert not {m.key for m in before} & {m.key for m in changed}


def test_the_contracts_have_mutants_of_every_operator() -> None:
    mutants = cairo_mutants(repository.root())
    assert {m.operator for m in mutants} == OPERATORS
    assert len({m.id for m in mutants}) == len(mutants)
    assert {m.file for m in mutants} == {
        path.relative_to(repository.root()).as_posix()
        for path in (repository.root() / "contracts").rglob("*.cairo")
        if path.name not in ("lib.cairo", "tests.cairo")
    } - NOTHING_BUT_TYPES


# --- Python -------------------------------------------------------------------------------------------------


def test_python_mutants_are_programs_and_differ(tmp_path: Path) -> None:
    root = repository.root()
    mutants = python_operators.python_mutants(root)
    assert {m.file for m in mutants} == set(python_operators.TARGETS)
    assert len({m.id for m in mutants}) == len(mutants)
    for mutant in mutants:
        (text,) = mutant.apply(root).values()
        assert text != (root / mutant.file).read_text()
        compile(text, mutant.file, "exec")


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("return a <= b", "return a < b"),
        ("return a <= b < c", "return a <= b <= c"),
        ("return a not in b", "return a in b"),
        ("return (1 << n) - 1", "return (1 << n) + 1"),
        ("return a and b", "return a or b"),
        ("raise ValueError(a)", "pass"),
        ("b.append(a)", "pass"),
        ("return f(a, b)", "return f(b, a)"),
        ("if a:\n        b()", "if not (a):"),
    ],
)
def test_a_python_operator(code: str, changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.py").write_text(f'def f(a, b):\n    """Doc: 1 < 2."""\n    {code}\n')
    monkeypatch.setattr(python_operators, "TARGETS", {"m.py": ()})
    results = [m.apply(tmp_path)["m.py"] for m in python_operators.python_mutants(tmp_path)]
    assert any(changed in result for result in results)
    assert all("Doc: 1 < 2." in result for result in results)


def test_a_line_of_the_log_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.py").write_text('def f(b):\n    _log.debug("b")\n    b.log.debug("b")\n')
    monkeypatch.setattr(python_operators, "TARGETS", {"m.py": ()})
    results = [m.apply(tmp_path)["m.py"] for m in python_operators.python_mutants(tmp_path)]
    assert all('    _log.debug("b")' in result for result in results)
    assert any('b.log.debug("b")' not in result for result in results)


# --- defects by hand ----------------------------------------------------------------------------------------


def test_every_defect_fits_the_code() -> None:
    mutants = defect_mutants(repository.root())
    assert [m.change for m in mutants] == [defect.name for defect in DEFECTS]
    for mutant, defect in zip(mutants, DEFECTS, strict=True):
        (text,) = mutant.apply(repository.root()).values()
        assert defect.new in text


@pytest.mark.parametrize("text", ["a(); a();", "b();"])
def test_a_defect_that_does_not_fit_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.cairo").write_text(text)
    with pytest.raises(ValueError, match="its place is"):
        list(_mutants(tmp_path, (Defect("a defect", "c.cairo", "a();", ""),)))
