"""Render the report as a self-contained HTML page that loads no fonts, scripts or images."""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from scripts.audit.record import Outcome
from scripts.audit.report import TITLES, Evidence, Report, Status

HERE = Path(__file__).parent

#: Symbol shown before the word of each status.
MARKS: dict[Status | Outcome | None, str] = {
    Status.HOLDS: "✓",
    Status.SKIPPED: "○",
    Status.STALE: "△",
    Status.MISSING: "?",
    Status.FAILED: "✗",
    Outcome.PASSED: "✓",
    Outcome.SKIPPED: "○",
    Outcome.XFAILED: "△",
    Outcome.FAILED: "✗",
    None: "?",
}


def page(report: Report) -> str:
    """Render the page."""
    style, script = ((HERE / name).read_text() for name in ("page.css", "page.js"))
    anchors = {slug(title): name for name, title in TITLES.items()}
    anchors |= {slug(table.title): slug(table.title) for table in report.threats.tables}
    tests = {test.name: test for part in (report.not_protected, report.not_verified) for test in part.tests}
    markdown = Markdown(anchors, tests)
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": anchor,
        "breakable": breakable,
        "slug": slug,
        "markdown": markdown.block,
        "inline": markdown.inline,
        "picture": picture,
        "share": share,
    }
    # The content security policy allows only these inline styles and scripts.
    return environment.get_template("page.html.jinja").render(
        report=report,
        parts={name: (title, part) for name, title, part in report.parts()},
        marks=MARKS,
        Outcome=Outcome,
        style=Markup(style),
        script=Markup(script),
        style_hash=content_hash(style),
        script_hash=content_hash(script),
    )


def anchor(test: str) -> str:
    """The id of a test's row."""
    return "test:" + quote(test, safe="/:._-")


def breakable(name: str) -> Markup:
    """Allow line breaks after the punctuation of a long name."""
    return Markup("<wbr>").join(re.split(r"(?<=[_:/,-])(?![_:/,-])", name))


def slug(title: str) -> str:
    """The anchor of a heading in the documents."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def content_hash(text: str) -> str:
    """The content security policy source of an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def picture(svg: str) -> str:
    """Encode an SVG as an image URL, so that it can neither run scripts nor load resources."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def share(times: int, most: int) -> int:
    """The length of a bar in percent on a logarithmic scale."""
    return round(100 * math.log1p(times) / math.log1p(most)) if most else 0


class Renderer(RendererHTML):
    """A renderer that links the names of tests to their rows and shows their outcomes."""

    def code_inline(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        code = tokens[idx].content
        test: Evidence | None = env["tests"].get(code)
        shown = Markup("<code>{}</code>").format(breakable(code) if test else code)
        if test is None:
            return shown
        if test.test:
            shown = Markup('<a href="#{}">{}</a>').format(anchor(test.test), shown)
        return Markup('{} <span class="status {}">{} {}</span>').format(
            shown,
            test.outcome.name.lower() if test.outcome else "missing",
            MARKS[test.outcome],
            test.outcome or "did not run",
        )


class Markdown:
    """Render Markdown as safe HTML: without raw HTML, and with links only inside the page or to https."""

    def __init__(self, anchors: Mapping[str, str], tests: Mapping[str, Evidence]) -> None:
        self._anchors = anchors
        self._tests = tests
        self._parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=Renderer).enable("table")

    def block(self, text: str) -> Markup:
        """Render a text of several paragraphs."""
        return self._rendered(self._parser.parse(text))

    def inline(self, text: str) -> Markup:
        """Render inline text."""
        return self._rendered(self._parser.parseInline(text))

    def _rendered(self, tokens: Sequence[Token]) -> Markup:
        for token in tokens:
            if token.children is not None:
                token.children = self._linked(token.children)
        return Markup(self._parser.renderer.render(tokens, self._parser.options, {"tests": self._tests}))

    def _linked(self, children: Sequence[Token]) -> list[Token]:
        """Remove images, and links that lead nowhere from this page, but keep their text."""
        kept: list[Token] = []
        leads = [True]  # whether each link that a token is inside of leads somewhere
        for token in children:
            if token.type == "link_open":
                target = str(token.attrs["href"])
                if inside := self._anchors.get(target.removeprefix("#")):
                    token.attrs["href"] = f"#{inside}"
                leads.append(inside is not None or target.startswith("https://"))
            if token.type != "image" and (leads[-1] or not token.type.startswith("link_")):
                kept.append(token)
            if token.type == "link_close":
                leads.pop()
        return kept
