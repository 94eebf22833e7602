"""Mutation operators for Cairo, each modelling a small mistake of a programmer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.mutation import packages
from scripts.mutation.cairo import Item, Parameter, Source, Token
from scripts.mutation.mutants import CAIRO, Edit, Mutant, distinct, shown

_BOUNDARIES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_EQUALITIES = {"==": "!=", "!=": "=="}
_COMPARISONS = _BOUNDARIES | _EQUALITIES
_ARITHMETIC = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "*", "&": "|", "|": "&"}
_LOGIC = {"&&": "||", "||": "&&"}

_ROLES = (
    ("self.assert_admin(context)", "self.EntityRegistry_admin.read()"),
    (".assert_registered(", ".entity("),
    (".assert_active(", ".assert_registered("),
    ("assert_funder(terms, context.caller, context.this)", "terms.id()"),
    ("assert_funder(terms, caller, this)", "terms.id()"),
    ("assert_funder(@terms, caller, this)", "terms.id()"),
    ("context.caller == admin", "true"),
    ("POWER_GIVE", "POWER_REVOKE"),
    ("POWER_REVOKE", "POWER_REFUSE"),
    ("POWER_REFUSE", "POWER_GIVE"),
    ("context.caller", "context.this"),
    ("get_caller_address()", "starknet::get_contract_address()"),
)
"""Changes of access control: an omitted check, another power, another address in place of the caller."""

_DEFAULTS = {
    "": "",
    "bool": " true",
    "felt252": " 0",
    "u8": " 0",
    "u16": " 0",
    "u32": " 0",
    "u64": " 0",
    "u128": " 0",
    "(u128, u128)": " (0, 0)",
    "ContractAddress": " core::num::traits::Zero::zero()",
    "Decision": " medsync_interfaces::vocabulary::Decision::Permit",
    "Reason": " medsync_interfaces::vocabulary::Reason::Granted",
    "Option<Reason>": " Option::None",
    "Option<PendingAdmin>": " Option::None",
}
"""The value that a function with an early return gives, by return type."""


@dataclass(frozen=True)
class Types:
    """The declarations of all sources."""

    functions: Mapping[str, tuple[Parameter, ...]]
    """By the last part of their names."""
    structs: Mapping[str, tuple[Parameter, ...]]
    enums: Mapping[str, tuple[str, ...]]


class Operators:
    """Generates all mutants of one source."""

    def __init__(self, source: Source, types: Types) -> None:
        self.source, self.types = source, types
        self.tokens = source.tokens
        self.starts = {token.start for token in source.tokens}

    def mutants(self) -> list[Mutant]:
        found: list[Mutant] = []
        for item in self.source.items:
            if item.is_function:
                for operator in _FUNCTION_OPERATORS:
                    found += operator(self, item)
            for operator in _ITEM_OPERATORS:
                found += operator(self, item)
        found = [mutant for mutant in found if self._changes(mutant)]
        return sorted(distinct(found), key=lambda mutant: mutant.edits[0].start)

    # --- single signs ---

    def comparisons(self, item: Item) -> Iterator[Mutant]:
        """Move the boundary, which is harder to detect than a negated condition; negate equalities.

        Equalities with a text (see `texts`) and those that are a whole assert are skipped (`deletions`
        removes the assert, which is harder to detect).
        """
        for index in range(item.first, item.last):
            token = self.tokens[index]
            if token.text not in _COMPARISONS or not self.source.is_spaced(token):
                continue
            if token.text in _EQUALITIES and (
                self.tokens[index + 1].kind == "short" or self._is_whole_assert(index)
            ):
                continue
            yield self._replace(item, "comparison", token, _COMPARISONS[token.text])

    def arithmetic(self, item: Item) -> Iterator[Mutant]:
        """Replace an operation by another. Shifts, `* 0x…`, are changed by `constants`."""
        for index in range(item.first, item.last):
            token = self.tokens[index]
            if token.text not in _ARITHMETIC or not self.source.is_spaced(token):
                continue
            if not (token.text == "*" and self.tokens[index + 1].text.startswith("0x")):
                yield self._replace(item, "arithmetic", token, _ARITHMETIC[token.text])

    def logic(self, item: Item) -> Iterator[Mutant]:
        """Exchange `&&` and `||`; in a chain, the first and the last."""
        signs = [token for token in self.tokens[item.first : item.last] if token.text in _LOGIC]
        for before, token, after in zip([None, *signs], signs, [*signs[1:], None], strict=False):
            if before is None or after is None or before.text != token.text or after.text != token.text:
                yield self._replace(item, "logic", token, _LOGIC[token.text])

    def constants(self, item: Item) -> Iterator[Mutant]:
        """Numbers ± 1, except whole arms of a match (see `arms`)."""
        for index in range(item.first, item.last):
            token = self.tokens[index]
            if token.kind != "number" or self._is_arm(index):
                continue
            value = int(token.text.replace("_", ""), 0)
            text = hex if token.text.startswith("0x") else str
            yield self._replace(item, "constant", token, text(value + 1))
            # For a shift, a mask or an id, one below and one above are equally wrong.
            if value and not item.is_function and value < 2**128:
                yield self._replace(item, "constant", token, text(value - 1))

    def texts(self, item: Item) -> Iterator[Mutant]:
        """Change a letter of error codes, tags and type descriptions."""
        for token in self.tokens[item.first : item.last]:
            if token.kind in ("short", "string"):
                place = max(index for index, sign in enumerate(token.text) if sign.isalnum())
                letter = "X" if token.text[place] != "X" else "Y"
                yield self._replace(
                    item, "text", token, token.text[:place] + letter + token.text[place + 1 :]
                )

    def keys(self, item: Item) -> Iterator[Mutant]:
        """Make a key of an event a data field, by which the event can no longer be found."""
        for mark in self.source.attributes:
            if item.start <= mark.start < item.end and mark.text == "#[key]":
                field = next(t for t in self.tokens if t.start > mark.end and t.text != "pub")
                change = f"#[key] {field.text} → {field.text}"
                yield self._mutant(item, "key dropped", mark.start, mark.end, "", change)

    def truths(self, item: Item) -> Iterator[Mutant]:
        for token in self.tokens[item.first : item.last]:
            if token.kind == "word" and token.text in ("true", "false"):
                yield self._replace(item, "truth", token, "false" if token.text == "true" else "true")

    def variants(self, item: Item) -> Iterator[Mutant]:
        """Replace the variant of an enum in an expression by another."""
        for index in range(item.first, item.last - 2):
            enum, colons, variant = self.tokens[index : index + 3]
            names = self.types.enums.get(enum.text, ())
            if colons.text != "::" or variant.text not in names or enum.text == "Event":
                continue
            if self.tokens[index + 3].text == "=>" or self._is_arm(index, length=3):
                continue
            if enum.text == "Decision" and self.tokens[index + 3].text == ",":
                continue  # The reason beside it is changed instead.
            if self.tokens[index - 1].text in _EQUALITIES:
                continue  # `comparisons` negates it, or `deletions` removes the assert.
            new = names[(names.index(variant.text) + 1) % len(names)]
            yield self._replace(item, "variant", variant, new)

    # --- statements ---

    def deletions(self, item: Item) -> Iterator[Mutant]:
        for first, last in self._statements(item.first, item.last):
            text = self.source.slice(first, last)
            head = self.tokens[first].text
            if head in ("let", "use") or self.tokens[last - 1].text != ";":
                continue
            squeezed = re.sub(r"\s", "", text)
            if head == "assert":
                operator = "assert deleted"
            elif squeezed.startswith("self.emit("):
                operator = "event deleted"
            elif re.search(r"\.write\(", squeezed):
                operator = "write deleted"
            else:
                operator = "statement deleted"
            yield self._cut(item, operator, first, last, "")

    def conditions(self, item: Item) -> Iterator[Mutant]:
        """Negate the condition of an `if` without a comparison."""
        for index in range(item.first, item.last):
            if self.tokens[index].text != "if":
                continue
            first, last = index + 1, self._brace(index + 1)
            condition = self.tokens[first:last]
            if condition[0].text == "let" or any(
                t.text in _COMPARISONS and self.source.is_spaced(t) for t in condition
            ):
                continue
            yield self._cut(item, "condition", first, last, f"!({self.source.slice(first, last)})")

    def early_returns(self, item: Item) -> Iterator[Mutant]:
        """Return at the start of functions in which `deletions` removes nothing but asserts."""
        heads = (self.tokens[first].text for first, _ in self._statements(item.first, item.last))
        if any(head not in ("let", "assert") for head in heads):
            return
        at = self.tokens[item.first - 1].end
        if (value := _DEFAULTS.get(item.result)) is not None:
            new = f" if true {{ return{value}; }} "
            yield self._mutant(item, "early return", at, at, new, f"(at the start) → return{value};")

    def roles(self, item: Item) -> Iterator[Mutant]:
        begin, end = self.tokens[item.first - 1].end, self.tokens[item.last].start
        for old, new in _ROLES:
            for match in re.finditer(re.escape(old), self.source.text[begin:end]):
                start = begin + match.start()
                if start in self.starts:  # Skip comments.
                    yield self._mutant(item, "role", start, start + len(old), new, shown(old, new))

    # --- order ---

    def arms(self, item: Item) -> Iterator[Mutant]:
        """Swap neighbouring arms of a match."""
        for index in range(item.first, item.last):
            if self.tokens[index].text != "match":
                continue
            brace = self._brace(index)
            found = list(self._arms(brace))
            for first, second in _pairs(found):
                yield self._swap(item, "arms swapped", first, second)

    def arguments(self, item: Item) -> Iterator[Mutant]:
        """Swap neighbouring arguments of the same type in calls of functions from these sources."""
        for index in range(item.first, item.last):
            token = self.tokens[index]
            if token.kind != "word" or token.text not in self.types.functions:
                continue
            if self.tokens[index + 1].text != "(":
                continue
            parameters = self.types.functions[token.text]
            given = self.source.split(index + 2, self.source.partner[index + 1])
            if len(given) == len(parameters):
                types = [parameter.type for parameter in parameters]
                yield from self._swaps(item, types, given)

    def fields(self, item: Item) -> Iterator[Mutant]:
        """Swap the values of two fields of the same type in a struct literal."""
        for index in range(item.first, item.last):
            token = self.tokens[index]
            if token.text not in self.types.structs or self.tokens[index + 1].text != "{":
                continue
            declared = {p.name: p.type for p in self.types.structs[token.text]}
            given = [
                (first, last)
                for first, last in self.source.split(index + 2, self.source.partner[index + 1])
                if self.tokens[first].text in declared
            ]
            before = [t.text for t in self.tokens[index - 2 : index]]
            if before[-1] == "let":
                continue  # A pattern.
            operator = "event altered" if before == ["emit", "("] else "fields swapped"
            by_type: dict[str, list[tuple[int, int]]] = {}
            for part in given:
                by_type.setdefault(declared[self.tokens[part[0]].text], []).append(part)
            for parts in by_type.values():
                for first, second in _pairs(parts):
                    yield self._swap_fields(item, operator, first, second)

    def patterns(self, item: Item) -> Iterator[Mutant]:
        """Change `let (a, b) = …` to `let (b, a) = …`."""
        for index in range(item.first, item.last):
            if self.tokens[index].text == "let" and self.tokens[index + 1].text == "(":
                close = self.source.partner[index + 1]
                names = self.source.split(index + 2, close)
                for first, second in _pairs(names):
                    yield self._swap(item, "arguments swapped", first, second)

    # --- helpers ---

    def _changes(self, mutant: Mutant) -> bool:
        """Whether the mutant differs from the source: swapping equal arguments does not."""
        (edit,) = mutant.edits
        return self.source.text[edit.start : edit.end] != edit.new

    def _is_whole_assert(self, index: int) -> bool:
        """Whether a comparison is the whole condition of an assert."""
        begin = index
        while self.tokens[begin].text not in ("(", ";", "{", "&&", "||"):
            begin -= 1
            if self.tokens[begin].text == ")":
                begin = self.source.partner[begin] - 1
        return self.tokens[begin].text == "(" and self.tokens[begin - 1].text == "assert"

    def _is_arm(self, index: int, length: int = 1) -> bool:
        """Whether these tokens are the whole pattern or value of an arm."""
        before, after = self.tokens[index - 1].text, self.tokens[index + length].text
        return after == "=>" or (before == "=>" and after == ",")

    def _brace(self, index: int) -> int:
        """The next `{` that opens a block, outside brackets and struct literals."""
        while self.tokens[index].text != "{":
            if self.tokens[index].text in ("(", "["):
                index = self.source.partner[index]
            index += 1
        return index

    def _arms(self, brace: int) -> Iterator[tuple[int, int]]:
        """The values of the arms of a match."""
        close = self.source.partner[brace]
        index = brace + 1
        while index < close:
            while self.tokens[index].text != "=>":
                index = self.source.partner[index] if self.tokens[index].text == "(" else index
                index += 1
            first = index + 1
            if self.tokens[first].text == "{":
                index = self.source.partner[first] + 1
            else:
                index = first
                while index < close and self.tokens[index].text != ",":
                    index = self.source.partner[index] if self.tokens[index].text in "([{" else index
                    index += 1
            yield first, index
            index += self.tokens[index].text == ","

    def _statements(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The statements of a block, including those of nested blocks."""
        index = start = first
        while index < last:
            text = self.tokens[index].text
            if text == "{":
                close = self.source.partner[index]
                if not self._is_literal(index):
                    yield from self._statements(index + 1, close)
                index = close
                following = self.tokens[index + 1].text if index + 1 < last else ""
                if start < index and self._is_block_statement(start) and following != "else":
                    start = index + 1
            elif text in ("(", "["):
                index = self.source.partner[index]
            elif text == ";":
                yield start, index + 1
                start = index + 1
            index += 1

    def _is_literal(self, brace: int) -> bool:
        return self.tokens[brace - 1].text in self.types.structs

    def _is_block_statement(self, index: int) -> bool:
        return self.tokens[index].text in ("if", "for", "while", "match", "loop")

    def _swaps(self, item: Item, types: Sequence[str], parts: Sequence[tuple[int, int]]) -> Iterator[Mutant]:
        place = 0
        while place < len(parts) - 1:
            if types[place] == types[place + 1]:
                first, second = parts[place], parts[place + 1]
                # Cairo wants named arguments in their order, so their values change places.
                swap = self._swap_fields if self._is_named(first) and self._is_named(second) else self._swap
                yield swap(item, "arguments swapped", first, second)
                place += 1
            place += 1

    def _swap(self, item: Item, operator: str, first: tuple[int, int], second: tuple[int, int]) -> Mutant:
        between = self.source.text[self.tokens[first[1] - 1].end : self.tokens[second[0]].start]
        new = self.source.slice(*second) + between + self.source.slice(*first)
        return self._cut(item, operator, first[0], second[1], new)

    def _swap_fields(
        self, item: Item, operator: str, first: tuple[int, int], second: tuple[int, int]
    ) -> Mutant:
        (name_1, value_1), (name_2, value_2) = self._field(first), self._field(second)
        between = self.source.text[self.tokens[first[1] - 1].end : self.tokens[second[0]].start]
        return self._cut(
            item, operator, first[0], second[1], f"{name_1}: {value_2}{between}{name_2}: {value_1}"
        )

    def _is_named(self, part: tuple[int, int]) -> bool:
        """Whether an argument is `name: value`, or `:name` for both."""
        return ":" in [token.text for token in self.tokens[part[0] : min(part[0] + 2, part[1])]]

    def _field(self, part: tuple[int, int]) -> tuple[str, str]:
        """Name and value of a field or a named argument, which may be one and the same."""
        if self.tokens[part[0]].text == ":":
            part = part[0] + 1, part[1]
        name = self.tokens[part[0]].text
        return name, self.source.slice(part[0] + 2, part[1]) if part[1] - part[0] > 1 else name

    def _replace(self, item: Item, operator: str, token: Token, new: str) -> Mutant:
        # The replaced token alone is hard to understand, so show the line around it.
        begin = self.source.text.rfind("\n", 0, token.start) + 1
        begin += len(self.source.text[begin:]) - len(self.source.text[begin:].lstrip())
        line = self.source.text[begin : self.source.text.find("\n", token.end)].rstrip()
        place = token.start - begin
        changed = line[:place] + new + line[place + len(token.text) :]
        return self._mutant(item, operator, token.start, token.end, new, _around(line, changed, place))

    def _cut(self, item: Item, operator: str, first: int, last: int, new: str) -> Mutant:
        start, end = self.tokens[first].start, self.tokens[last - 1].end
        return self._mutant(item, operator, start, end, new, shown(self.source.text[start:end], new))

    def _mutant(self, item: Item, operator: str, start: int, end: int, new: str, change: str) -> Mutant:
        return Mutant(
            language=CAIRO,
            file=self.source.path,
            line=self.source.line(start),
            function=item.name,
            operator=operator,
            change=change,
            edits=(Edit(self.source.path, start, end, new),),
            digest=self.source.digest(item),
            place=start - item.start,
        )


def _around(old: str, new: str, place: int, width: int = 60) -> str:
    """The old and new line, shortened to the context of the change."""
    if len(old) <= width:
        return f"{old} → {new}"
    begin = max(0, place - width // 2)
    return f"{old[begin : begin + width]} → {new[begin : begin + width]}"


def _pairs(parts: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of neighbours that cover every element."""
    pairs = list(zip(parts[::2], parts[1::2], strict=False))
    return [*pairs, (parts[-2], parts[-1])] if len(parts) > 1 and len(parts) % 2 else pairs


_FUNCTION_OPERATORS: tuple[Callable[[Operators, Item], Iterator[Mutant]], ...] = (
    Operators.roles,
    Operators.comparisons,
    Operators.arithmetic,
    Operators.logic,
    Operators.truths,
    Operators.variants,
    Operators.deletions,
    Operators.conditions,
    Operators.early_returns,
    Operators.arms,
    Operators.arguments,
    Operators.fields,
    Operators.patterns,
)
_ITEM_OPERATORS: tuple[Callable[[Operators, Item], Iterator[Mutant]], ...] = (
    Operators.constants,
    Operators.texts,
    Operators.keys,
)


def read_sources(root: Path) -> list[Source]:
    """Read the contracts' Cairo files."""
    return [Source(file, text) for file, text in packages.texts(root).items()]


def types_of(sources: Sequence[Source]) -> Types:
    """The declarations of the sources, without names that have different parameter lists."""
    functions: dict[str, tuple[Parameter, ...]] = {}
    ambiguous = set()
    for item in (item for source in sources for item in source.items if item.is_function):
        name = item.name.rsplit("::", 1)[-1]
        if functions.setdefault(name, item.parameters) != item.parameters:
            ambiguous.add(name)
    return Types(
        {name: parameters for name, parameters in functions.items() if name not in ambiguous},
        {name: fields for source in sources for name, fields in source.structs.items() if name != "Storage"},
        {name: variants for source in sources for name, variants in source.enums.items() if name != "Event"},
    )


def cairo_mutants(root: Path) -> list[Mutant]:
    """All mutants of the contracts, ordered by file and line."""
    sources = read_sources(root)
    types = types_of(sources)
    return [mutant for source in sources for mutant in Operators(source, types).mutants()]
