"""A parser of Cairo sources for the operators: tokens, functions, structs and enums.

It relies on `scarb fmt`: a binary operator has a space on both sides, and the angle bracket of a generic has
none. Comments, attributes and `#[cfg(test)]` modules are skipped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>//[^\n]*)
  | (?P<attribute>\#\[[^\]]*\])
  | (?P<string>"(?:\\.|[^"\\])*")
  | (?P<short>'[^']*')
  | (?P<number>0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*)(?:_[a-z]\w*)?
  | (?P<word>[A-Za-z_]\w*!?)
  | (?P<sign>->|=>|::|==|!=|<=|>=|&&|\|\||\.\.|[-+*/%&|!<>=.,;:(){}\[\]@?^~])
    """,
    re.VERBOSE,
)
_OPEN = {"(": ")", "[": "]", "{": "}"}
_CLOSE = set(_OPEN.values())


@dataclass(frozen=True)
class Token:
    """A token and its position in the text."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Parameter:
    """A parameter or a field."""

    name: str
    type: str


@dataclass(frozen=True)
class Item:
    """A function with its body, a constant, or an event with keys. If it changes, its verdicts are void."""

    name: str
    """Includes the enclosing module, impl or trait."""
    start: int
    end: int
    first: int
    """Index of the first token of the body, after its brace, or of the constant's value."""
    last: int
    """Index after the last token of the body or value."""
    is_function: bool
    parameters: tuple[Parameter, ...] = ()
    """Without `self`."""
    result: str = ""
    """The return type, or empty."""


@dataclass
class Source:
    """A Cairo file."""

    path: str
    text: str
    tokens: list[Token] = field(init=False)
    """Without whitespace, comments, attributes and tests."""
    attributes: list[Token] = field(init=False)
    items: list[Item] = field(init=False)
    structs: dict[str, tuple[Parameter, ...]] = field(init=False)
    enums: dict[str, tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        everything = [t for t in tokenize(self.text) if t.kind not in ("space", "comment")]
        kept = list(_without_tests(everything))
        self.attributes = [t for t in kept if t.kind == "attribute"]
        self.tokens = [t for t in kept if t.kind != "attribute"]
        self.items, self.structs, self.enums = [], {}, {}
        self._read()

    @cached_property
    def partner(self) -> dict[int, int]:
        """Maps the index of each bracket to the index of its matching bracket."""
        pairs: dict[int, int] = {}
        stack: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.text in _OPEN and token.kind == "sign":
                stack.append(index)
            elif token.text in _CLOSE and token.kind == "sign":
                other = stack.pop()
                assert _OPEN[self.tokens[other].text] == token.text, (self.path, token)
                pairs[other], pairs[index] = index, other
        assert not stack, self.path
        return pairs

    def line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1

    def slice(self, first: int, last: int) -> str:
        """The text from token `first` up to but excluding token `last`."""
        return self.text[self.tokens[first].start : self.tokens[last - 1].end] if first < last else ""

    def digest(self, item: Item) -> str:
        return hashlib.sha256(self.text[item.start : item.end].encode()).hexdigest()[:16]

    def split(self, first: int, last: int, separator: str = ",") -> list[tuple[int, int]]:
        """Split a list into ranges of tokens."""
        parts, start, index = [], first, first
        while index < last:
            token = self.tokens[index]
            if token.kind == "sign" and token.text in _OPEN:
                index = self.partner[index]
            elif token.kind == "sign" and token.text == separator and not self._in_angles(start, index):
                parts.append((start, index))
                start = index + 1
            index += 1
        if start < last:
            parts.append((start, last))
        return parts

    def _in_angles(self, start: int, index: int) -> bool:
        depth = 0
        for token in self.tokens[start:index]:
            if token.kind == "sign" and token.text in "<>" and not self.is_spaced(token):
                depth += 1 if token.text == "<" else -1
        return depth > 0

    def is_spaced(self, token: Token) -> bool:
        """Whether a sign has space on both sides, as every binary operator has."""
        return self.text[token.start - 1].isspace() and self.text[token.end].isspace()

    def item_at(self, position: int) -> Item | None:
        return next((item for item in self.items if item.start <= position < item.end), None)

    def _read(self) -> None:
        tokens, partner = self.tokens, self.partner
        scopes: list[tuple[int, str]] = []  # (end, name)
        index = 0
        while index < len(tokens):
            while scopes and index > scopes[-1][0]:
                scopes.pop()
            token = tokens[index]
            if token.kind == "word" and token.text in ("mod", "impl", "trait"):
                brace = self._find(index, "{;")
                if tokens[brace].text == "{":
                    scopes.append((partner[brace], tokens[index + 1].text))
                index = brace + 1
            elif token.kind == "word" and token.text in ("struct", "enum"):
                index = self._read_type(index)
            elif token.kind == "word" and token.text == "const":
                end = self._find(index, ";")
                equals = self._find(index, "=")
                name = "::".join([*(name for _, name in scopes), tokens[index + 1].text])
                self.items.append(
                    Item(name, self._begin(index), tokens[end].end, equals + 1, end, is_function=False)
                )
                index = end + 1
            elif token.kind == "word" and token.text == "fn":
                index = self._read_function(index, [name for _, name in scopes])
            else:
                index += 1

    def _begin(self, index: int) -> int:
        """The position where an item's text begins: at its `pub`, if it has one."""
        before = self.tokens[index - 1] if index else None
        return (before if before is not None and before.text == "pub" else self.tokens[index]).start

    def _find(self, index: int, wanted: str) -> int:
        """The next token that is one of the wanted signs, outside round and square brackets."""
        while self.tokens[index].text not in wanted or self.tokens[index].kind != "sign":
            index = self.partner[index] if self.tokens[index].text in ("(", "[") else index
            index += 1
        return index

    def _read_type(self, index: int) -> int:
        name, brace = self.tokens[index + 1].text, self._find(index, "{;")
        if self.tokens[brace].text == ";":
            return brace + 1
        end = self.partner[brace]
        parts = [self.tokens[first:last] for first, last in self.split(brace + 1, end)]
        if self.tokens[index].text == "enum":
            self.enums[name] = tuple(part[0].text for part in parts)
        else:
            self.structs[name] = tuple(_parameter(self, part) for part in parts)
            start, stop = self._begin(index), self.tokens[end].end
            if any(start <= mark.start < stop and mark.text == "#[key]" for mark in self.attributes):
                self.items.append(Item(name, start, stop, brace + 1, end, is_function=False))
        return end + 1

    def _read_function(self, index: int, scopes: list[str]) -> int:
        tokens, partner = self.tokens, self.partner
        opening = self._find_round(index)
        closing = partner[opening]
        body = self._find(closing + 1, "{;")
        if tokens[body].text == ";":
            return body + 1
        parts = [tokens[first:last] for first, last in self.split(opening + 1, closing)]
        parameters = tuple(
            _parameter(self, part) for part in parts if "self" not in [t.text for t in part[:2]]
        )
        result = ""
        if tokens[closing + 1].text == "->":
            result = self.slice(closing + 2, body)
        self.items.append(
            Item(
                name="::".join([*scopes, tokens[index + 1].text]),
                start=self._begin(index),
                end=tokens[partner[body]].end,
                first=body + 1,
                last=partner[body],
                is_function=True,
                parameters=parameters,
                result=result,
            )
        )
        return partner[body] + 1

    def _find_round(self, index: int) -> int:
        while self.tokens[index].text != "(":
            index += 1
        return index


def tokenize(text: str) -> Iterator[Token]:
    """All tokens of a text, including whitespace and comments."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None, f"unknown token at {text[position : position + 30]!r}"
        assert match.lastgroup is not None
        yield Token(match.lastgroup, match.group(), position)
        position = match.end()


def _without_tests(tokens: Sequence[Token]) -> Iterator[Token]:
    index = 0
    while index < len(tokens):
        if tokens[index].text != "#[cfg(test)]":
            yield tokens[index]
            index += 1
            continue
        while tokens[index].text not in ("{", ";"):
            index += 1
        if tokens[index].text == ";":  # The tests are in a file of their own.
            index += 1
            continue
        depth = 0
        while True:
            depth += (tokens[index].text == "{") - (tokens[index].text == "}")
            index += 1
            if depth == 0:
                break


def _parameter(source: Source, tokens: Sequence[Token]) -> Parameter:
    words = [t for t in tokens if t.text not in ("pub", "ref", "mut")]
    return Parameter(words[0].text, source.text[words[2].start : words[-1].end])
