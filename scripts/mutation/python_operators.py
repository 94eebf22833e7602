"""Mutation operators for Python, applied to the code that proves a log complete."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from scripts.mutation.mutants import PYTHON, Edit, Mutant, distinct, shown

_ALL: tuple[str, ...] = ()
TARGETS: dict[str, tuple[str, ...]] = {
    "medsync/log/completeness.py": _ALL,
    "medsync/log/fetch.py": _ALL,
    "medsync/log/histories.py": _ALL,
    "medsync/protocol/chains.py": _ALL,
    "medsync/protocol/types.py": ("CampaignTerms",),
    "medsync/protocol/hashing.py": ("poseidon", "starknet_keccak"),
    "medsync/protocol/poseidon.py": (
        "hash_felts",
        "hash_chain",
        "hash_each",
        "_check",
        "_PoseidonPy",
        "_packed",
    ),
}
"""The log verifier, and the hash functions it uses.

The WebAssembly module's own plumbing is not among them: it is compared with poseidon-py when it is loaded,
and not used if it differs, so that most of its mutants only make hashing slower.
"""

TESTS = {
    "medsync/log/completeness.py": ("tests/unit/log/test_completeness.py", "tests/unit/log/test_fetch.py"),
    "medsync/log/fetch.py": ("tests/unit/log/test_fetch.py",),
    "medsync/log/histories.py": ("tests/unit/log/test_completeness.py", "tests/unit/log/test_fetch.py"),
    "medsync/protocol/chains.py": (
        "tests/unit/protocol/test_hashing.py",
        "tests/unit/log/test_completeness.py",
    ),
    "medsync/protocol/types.py": (
        "tests/unit/protocol/test_types.py",
        "tests/unit/protocol/test_hashing.py",
    ),
    "medsync/protocol/hashing.py": (
        "tests/unit/protocol/test_hashing.py",
        "tests/unit/log/test_completeness.py",
    ),
    "medsync/protocol/poseidon.py": ("tests/unit/protocol/test_poseidon.py",),
}
"""The tests that must detect a mutant of each file, most specific first."""

ALL_TESTS = (
    "tests/unit/log/test_completeness.py",
    "tests/unit/log/test_fetch.py",
    "tests/unit/protocol/test_hashing.py",
    "tests/unit/protocol/test_poseidon.py",
    "tests/unit/protocol/test_oracles.py",
    "tests/unit/log/test_replay.py",
    "tests/unit/log/exports/test_json.py",
    "tests/unit/log/exports/test_receipt.py",
)
"""All tests that depend on the verifier."""

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "+",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.LShift: ">>",
}


class _Operators:
    """Generates all mutants of a top-level function, class or constant."""

    def __init__(self, file: str, text: str, top: ast.stmt, name: str) -> None:
        self.file, self.text, self.top, self.name = file, text, top, name
        # ast counts columns in bytes.
        self.lines = [0]
        for line in text.encode().splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.bytes = text.encode()

    def mutants(self) -> Iterator[Mutant]:
        for node in _code(self.top):
            if isinstance(node, ast.Compare):
                yield from self._compare(node)
            elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
                yield self._between("arithmetic", node, node.left, node.right, _ARITHMETIC[type(node.op)])
            elif isinstance(node, ast.BoolOp):
                word = "or" if isinstance(node.op, ast.And) else "and"
                yield self._between("logic", node, node.values[0], node.values[1], word)
            elif isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.Compare):
                yield self._node("condition", node.test, f"not ({self._text(node.test)})")
            elif isinstance(node, ast.Constant):
                yield from self._constant(node)
            elif isinstance(node, ast.Attribute) and self._text(node).startswith("FaultKind."):
                other = "FaultKind.MISSING" if node.attr != "MISSING" else "FaultKind.INVENTED"
                yield self._node("variant", node, other)
            elif isinstance(node, ast.Call):
                yield from self._arguments(node)
            elif isinstance(node, ast.List) and len(node.elts) > 1:
                for left, right in zip(node.elts, node.elts[1:], strict=False):
                    yield self._swap(left, right)
            yield from self._statements(node)

    def _statements(self, node: ast.AST) -> Iterator[Mutant]:
        for block in ("body", "orelse"):
            statements = getattr(node, block, None)
            for statement in statements if isinstance(statements, list) else ():
                if isinstance(statement, (ast.Raise, ast.Continue, ast.Break)):
                    yield self._node("statement deleted", statement, "pass")
                elif isinstance(statement, ast.Return):
                    if not _is_none(statement.value):
                        yield self._node("statement deleted", statement, "return None")
                elif isinstance(statement, ast.Expr) and not (
                    isinstance(statement.value, ast.Constant) or _is_log_call(statement.value)
                ):
                    yield self._node("statement deleted", statement, "pass")
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            at = self._offset(first.lineno, first.col_offset)
            new = "return None\n" + " " * first.col_offset
            yield self._mutant("early return", at, at, new, "(at the start) → return None", first)

    def _compare(self, node: ast.Compare) -> Iterator[Mutant]:
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if type(operator) in _COMPARISONS:
                yield self._between("comparison", node, left, right, _COMPARISONS[type(operator)])

    def _constant(self, node: ast.Constant) -> Iterator[Mutant]:
        if isinstance(node.value, bool):
            yield self._node("truth", node, str(not node.value))
        elif isinstance(node.value, int):
            yield self._node("constant", node, str(node.value + 1))

    def _arguments(self, node: ast.Call) -> Iterator[Mutant]:
        named = isinstance(node.func, ast.Name) and node.func.id[0].islower()
        for first, second in zip(node.args, node.args[1:], strict=False):
            if named and not isinstance(first, ast.Starred) and not isinstance(second, ast.Starred):
                yield self._swap(first, second)

    def _swap(self, first: ast.expr, second: ast.expr) -> Mutant:
        start, end = self._range(first)[0], self._range(second)[1]
        between = self.bytes[self._range(first)[1] : self._range(second)[0]].decode()
        new = f"{self._text(second)}{between}{self._text(first)}"
        return self._mutant("arguments swapped", start, end, new, shown(self._slice(start, end), new), first)

    def _between(self, operator: str, node: ast.expr, left: ast.expr, right: ast.expr, new: str) -> Mutant:
        """Replace the operator between two operands, keeping the brackets around it."""
        start, end = self._range(left)[1], self._range(right)[0]
        old = self._slice(start, end)
        sign = old.strip(" ()\n")
        changed = old.replace(sign, new, 1)
        whole = self._text(node)
        begin = self._range(node)[0]
        after = self.bytes[begin:start].decode() + changed + self.bytes[end : self._range(node)[1]].decode()
        return self._mutant(operator, start, end, changed, shown(whole, after), left)

    def _node(self, operator: str, node: ast.expr | ast.stmt, new: str) -> Mutant:
        start, end = self._range(node)
        return self._mutant(operator, start, end, new, shown(self._slice(start, end), new), node)

    def _mutant(
        self, operator: str, start: int, end: int, new: str, change: str, node: ast.expr | ast.stmt
    ) -> Mutant:
        begin, finish = self._range(self.top)
        return Mutant(
            language=PYTHON,
            file=self.file,
            line=node.lineno,
            function=self.name,
            operator=operator,
            change=change,
            edits=(Edit(self.file, len(self.bytes[:start].decode()), len(self.bytes[:end].decode()), new),),
            digest=hashlib.sha256(self.bytes[begin:finish]).hexdigest()[:16],
            place=start - begin,
        )

    def _offset(self, line: int, column: int) -> int:
        return self.lines[line - 1] + column

    def _range(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _slice(self, start: int, end: int) -> str:
        return self.bytes[start:end].decode()

    def _text(self, node: ast.expr | ast.stmt) -> str:
        return self._slice(*self._range(node))


def _code(top: ast.stmt) -> Iterator[ast.AST]:
    """The nodes that are executed, without docstrings, annotations, decorators, messages and defaults."""
    todo: list[ast.AST] = [top]
    while todo:
        node = todo.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
                continue
            children = value if isinstance(value, list) else [value]
            todo += [
                child
                for child in children
                if isinstance(child, ast.AST) and not isinstance(child, (ast.JoinedStr, ast.expr_context))
            ]


def python_mutants(root: Path) -> list[Mutant]:
    """All mutants of the log verifier, ordered by file and line."""
    found: list[Mutant] = []
    for file, names in TARGETS.items():
        text = (root / file).read_text()
        for top in ast.parse(text).body:
            name = _name(top)
            if name and (name in names or names == _ALL):
                found += _Operators(file, text, top, name).mutants()
    return sorted(distinct(found), key=lambda m: (list(TARGETS).index(m.file), m.edits[0].start))


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _is_log_call(node: ast.expr) -> bool:
    """Whether a statement only writes to the log, which is not behaviour that tests of the verifier hold."""
    call = node.func if isinstance(node, ast.Call) else node
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "_log"


def _name(top: ast.stmt) -> str:
    if isinstance(top, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return top.name
    if isinstance(top, ast.AnnAssign) and isinstance(top.target, ast.Name):
        return top.target.id
    return ""
