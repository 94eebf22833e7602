"""Ways to be malformed: strategies that spoil a valid sample, and the values they spoil it with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st

from medsync.protocol.felt import PRIME
from tests.fuzz.bench import API_KEY
from tests.fuzz.node import Reply

#: What a terminal would obey, or show otherwise than it is.
ESCAPES: Final = (
    "\x1b[2J\x1b[31mall is well\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31m",
    "line\rother",
    "\u202egnp.exe",
    "\x00\x08\x7f",
)

#: Numbers and words that are nearly right, as text.
NEARLY: Final = (
    *("", " ", "0", "-1", "00", "1e3", "1.5", "+1", "1_000", "0b1", "NaN", "-inf", "null", "true", "None"),
    *("0x", "0X1", "0xg", " 0x1", "0x1 ", "0x-1", "0x1_0", "0x\u0661", "\uff11\uff12", "\u0663", "x1"),
    *(hex(PRIME), hex(PRIME - 1), hex(2**251 - 256), hex(2**256), "0x" + "f" * 9_000),
    *(str(2**32), str(2**64), str(2**128), str(2**256), "9" * 5_000),
    *("devnet:", "devnet:-1", "devnet:99", "devnet:\u0663", "devnet:0x1", "me ", "ME", "@", "0x1@", "@x"),
    *(
        "2027-02-30",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+14:00",
        "2027-01-01T25:00Z",
        "+",
        "+9y",
    ),
    *("+999999999y", "now-1d", "TREAT,HRESCH", ",", "ALL,", "ALL,ALL", "give revoke"),
    *("--", "-", "--json", "-h", "=", "=1+1", "@SUM(A1)", "%s%n", "$(id)", "~", "{}", "[]", '"', "\\", "*"),
)

#: Names of files that are none, or none that can be read. `folder`, `pipe` and the like are in the bench.
PATHS: Final = (
    *("/", ".", "..", "folder", "folder/", "pipe", "loop", "dangling", "nowhere/none.json", "x" * 300),
    *("/dev/null", "/dev/zero", "/proc/self/mem", "a\x00b", "bytes-\udcff", "report.txt/below", "secret"),
)

#: Texts from all of these, and some that hold a secret in the wrong place.
TEXTS: Final = (
    *(*ESCAPES, *NEARLY, *PATHS),
    *("\ud800", "\u2028", "\ufeff0x1", "\U0001f600" * 40, "x" * 100_000),
    *(f"https://user:{API_KEY}@127.0.0.1:1/{API_KEY}", f"ftp://{API_KEY}@x", f"http://[{API_KEY}"),
)


class Raw(str):
    """JSON text that stands for a value as it is."""


VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 2**32, 2**63, 2**64, 2**128, 2**256, PRIME, -PRIME, 0.5, 1e300),
    *([], {}, [[]], [None], {"": None}, ["0x1"], {"0x1": 1}),
    *(Raw("NaN"), Raw("-Infinity"), Raw("1e400"), Raw("9" * 5_000), Raw("-0"), Raw("1E3"), Raw("0.1e1")),
    *(
        Raw("[" * 2_000 + "]" * 2_000),
        Raw('{"a":' * 2_000 + "1" + "}" * 2_000),
        Raw('"\\ud800"'),
        Raw('"\\u0000"'),
    ),
)

values: st.SearchStrategy[Any] = st.one_of(st.sampled_from(VALUES), st.sampled_from(TEXTS))


@st.composite
def texts(draw: st.DrawFn, sample: str = "") -> str:
    """Text that is none of what is expected, or the sample a little changed."""
    kind = draw(st.integers(0, 3 if sample else 2))
    if kind < 2:
        return draw(st.sampled_from(TEXTS))
    if kind == 2:
        return draw(st.text(max_size=20))
    at = draw(st.integers(0, len(sample) - 1))
    put = draw(st.sampled_from(["", "0", "g", "-", ".", " ", "\x1b", "\u0663", "\udcff", "/", ","]))
    return sample[:at] + put + sample[at + draw(st.integers(0, 1)) :]


# --- JSON ---------------------------------------------------------------------------------------------------


class Pairs(list[tuple[str, Any]]):
    """An object with a member more than once."""


def paths(document: Any) -> list[tuple[str | int, ...]]:
    """Where every value of a document is, the document itself first."""
    found: list[tuple[str | int, ...]] = [()]
    inner: Sequence[tuple[str | int, Any]] = ()
    if isinstance(document, dict):
        inner = list(document.items())
    elif isinstance(document, list):
        inner = list(enumerate(document))
    for name, value in inner:
        found += [(name, *path) for path in paths(value)]
    return found


def at(document: Any, path: Sequence[str | int]) -> Any:
    """The value at a path."""
    for step in path:
        document = document[step]
    return document


def changed(document: Any, path: Sequence[str | int], value: Any) -> Any:
    """The document with another value at a path; its own parts are left as they are."""
    if not path:
        return value
    step, *rest = path
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    copy[step] = changed(document[step], rest, value)
    return copy


def written(value: Any) -> str:
    """JSON, also such as no reader should take."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(name)}:{written(inner)}" for name, inner in value) + "}"
    if isinstance(value, dict):
        return written(Pairs(value.items()))
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> bytes:
    """A JSON document in which one value, member or element is not as it was."""
    path = draw(st.sampled_from(paths(document)))
    old = at(document, path)
    ways = ["replace", "replace", "wrap"]
    if isinstance(old, str):
        ways += ["respell", "respell"]
    if isinstance(old, int) and not isinstance(old, bool):
        ways += ["count", "quote"]
    if isinstance(old, dict) and old:
        ways += ["delete", "rename", "double", "add"]
    if isinstance(old, list) and old:
        ways += ["shorten", "repeat", "reverse"]
    way = draw(st.sampled_from(ways))
    new: Any
    if way == "replace":
        new = draw(values)
    elif way == "wrap":
        new = [old]
    elif way == "respell":
        new = draw(texts(old))
    elif way == "count":
        new = old + draw(st.sampled_from([-1, 1, 2**32, -(2**64)]))
    elif way == "quote":
        new = str(old)
    elif way in ("shorten", "repeat", "reverse"):
        new = {"shorten": old[:-1], "repeat": [*old, old[0]], "reverse": old[::-1]}[way]
    else:
        name = draw(st.sampled_from(sorted(old)))
        rest = {key: value for key, value in old.items() if key != name}
        new = {
            "delete": rest,
            "rename": rest | {name.upper() + "_": old[name]},
            "double": Pairs([*old.items(), (name, draw(values))]),
            "add": old | {draw(st.sampled_from(TEXTS)): 1},
        }[way]
    return written(changed(document, path, new)).encode()


# --- bytes --------------------------------------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn, sample: bytes) -> bytes:
    """A file that was cut off, flipped a bit of, or written in another encoding."""
    spot = draw(st.integers(0, max(0, len(sample) - 1)))
    way = draw(st.integers(0, 8))
    if way < 3:
        return sample[:spot]
    if way < 5 and sample:
        bit = 1 << draw(st.integers(0, 7))
        return sample[:spot] + bytes([sample[spot] ^ bit]) + sample[spot + 1 :]
    if way == 5:
        return (
            sample[:spot]
            + draw(st.sampled_from([b"\x00", b"\xff", b"\xed\xa0\x80", b"\x1b[31m"]))
            + sample[spot:]
        )
    text = sample.decode(errors="replace")
    whole = [
        b"\xef\xbb\xbf" + sample,
        text.encode("utf-16"),
        text.encode("utf-32-le"),
        sample * 2,
        b"",
        b" \n",
    ]
    return draw(
        st.sampled_from([*whole, b"[" * 100_000, b'{"a":' * 100_000, b"\x00" * 1_000, b"\xff\xfe", HTML])
    )


HUGE: Final = b'"' + b"x" * 2**21 + b'"'
HTML: Final = b"<!doctype html><title>502 Bad Gateway</title>\x1b[31m" + API_KEY.encode()


def malformed(sample: bytes) -> st.SearchStrategy[bytes]:
    """A file that is not the sample any more; most of them are still JSON, if the sample is."""
    try:
        document = json.loads(sample)
    except ValueError:
        return damaged(sample)
    return st.one_of(spoilt(document), spoilt(document), damaged(sample))


# --- a node's answers ---------------------------------------------------------------------------------------


@st.composite
def replies(draw: st.DrawFn, good: dict[str, Any]) -> Reply:
    """What a node sends instead of a good JSON-RPC document."""
    way = draw(st.integers(0, 9))
    if way < 4 and "result" in good:
        result = draw(spoilt(good["result"])).decode()
        return Reply(written(good | {"result": Raw(result)}).encode())
    if way < 5:
        return Reply(draw(spoilt(good)))
    if way < 7:
        return Reply(written({"jsonrpc": "2.0", "id": 0, "error": draw(errors)}).encode())
    status = draw(st.sampled_from([200, 200, 204, 400, 401, 404, 429, 500, 503]))
    if way < 8:
        return Reply(HTML, status, "text/html")
    body = draw(
        st.one_of(
            damaged(json.dumps(good).encode()),
            st.sampled_from(
                [b"", b"null", b"[]", b'"x"', b"0", b"{}", b'{"result":null}', b'"' + b"x" * 2**21 + b'"']
            ),
        )
    )
    return Reply(body, status)


codes = st.sampled_from([-32700, -32601, 1, 20, 21, 24, 27, 28, 29, 40, 41, 52, 53, 55, 59, 63])
words = st.sampled_from(["Contract error", f"no project {API_KEY}", f"see https://x/{API_KEY}", *ESCAPES])

#: Errors of every shape; their words hold what a terminal would obey, and a secret.
errors: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {"code": codes, "message": words},
        optional={
            "data": st.one_of(
                words,
                values,
                st.fixed_dictionaries(
                    {},
                    optional={
                        "contract_address": values,
                        "selector": values,
                        "execution_error": st.one_of(words, values),
                        "revert_error": st.one_of(words, values),
                        "error": st.one_of(words, values),
                    },
                ),
            )
        },
    ),
    st.fixed_dictionaries(
        {}, optional={"code": st.one_of(codes, values), "message": st.one_of(words, values)}
    ),
    values,
)
