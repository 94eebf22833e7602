"""The report shows what there is, says what is not, and cannot be talked into saying anything else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from medsync import artifacts
from medsync.errors import InputError, VerificationError
from scripts import repository
from scripts.audit import command, gather
from scripts.audit.page import content_hash, page
from scripts.audit.record import CairoRun, Case, Outcome, PytestRun, Record, Subject
from scripts.audit.report import TITLES, Part, Report, Status
from scripts.audit.run import cairo_run, subject_of, tree_of
from scripts.guards.table import PLANTED
from scripts.mutation import report as mutants

pytest_plugins = ["pytester"]

ROOT = repository.root()
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'

FAILING = "tests/unit/test_felt.py::test_a_planted_failure"
MACHINE = "tests/stateful/test_machine.py::test_contracts_do_what_the_model_does"


def reach(**changes: Any) -> dict[str, Any]:
    """What a generated test records."""
    recorded = {
        "title": "A machine",
        "profile": "quick",
        "seed": 7,
        "examples": 3,
        "steps": 5,
        "tables": {"rule": {"give": 4, "revoke": 1}},
        "unreached": {},
    }
    return recorded | changes


def cairo_tests() -> list[str]:
    sources = (ROOT / "contracts" / "src").rglob("tests.cairo")
    test = r"#\[test\]\n(?:\s*#\[.*\]\n)*\s*fn (\w+)\("
    return [
        f"medsync::{path.parent.name}::tests::{name}"
        for path in sources
        for name in re.findall(test, path.read_text())
    ]


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subject_of(ROOT)


def complete_run(subject: Subject) -> Record:
    """A run in which every test there is passed."""
    walked = "tests/guards/test_planted.py::test_a_gate_names_what_is_planted"
    gates = {f"{guard.environment} {guard.gate}".strip() for guard in PLANTED if "::" not in guard.gate}
    names = gather.declared_tests(ROOT) - {walked} | {f"{walked}[{gate}]" for gate in gates}
    cases = [Case(id=name, seconds=0.5) for name in sorted(names)]
    for folder in gather.GENERATED:
        next(case for case in cases if case.id.startswith(folder)).reach = [reach()]
    return Record(
        began_at=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=100,
        subject=subject,
        disturbed=False,
        pytest=PytestRun(
            status=0, arguments=["-n", "2"], profile="quick", repeatable=True, examples=100, cases=cases
        ),
        cairo=CairoRun(cases=[Case(id=name) for name in cairo_tests()]),
    )


@pytest.fixture
def record(subject: Subject) -> Record:
    return complete_run(subject)


@pytest.fixture(scope="module")
def hostile(subject: Subject) -> Report:
    """A report full of what a page must not take for its own."""
    record = complete_run(subject)
    cases = record.pytest.cases
    cases[0].id, cases[0].outcome, cases[0].reason = f"tests/{HOSTILE}::{HOSTILE}", Outcome.FAILED, HOSTILE
    cases[1].outcome, cases[1].reason = Outcome.SKIPPED, HOSTILE
    cases[2].reach = [
        reach(title=HOSTILE, seed=HOSTILE, tables={HOSTILE: {HOSTILE: 0}}, unreached={HOSTILE: HOSTILE})
    ]
    report = gather.gather(ROOT, record)
    report.mutation = gather.mutation_of(mutation(reason=HOSTILE), gather.Index(cases), [])
    report.costs.chart = f"<svg>{HOSTILE}</svg>"
    report.not_verified.markdown = f"{HOSTILE}\n\n[x](javascript:alert(3)) ![x](https://example.org/x.png)"
    report.threats.tables[0].rows[0].threat = HOSTILE
    return report


def mutation(reason: str) -> dict[str, Any]:
    """A report of `make mutate`, of which the sources are as they are, with one survivor."""
    survivor = {"id": "m", "file": reason, "line": 1, "function": "f", "operator": "<", "change": "c"}
    count = {"planned": 120, "mutants": 120, "not_compiling": 15, "equivalent": 5, "compiling": 100}
    full = count | {"killed": 100, "score": 100.0}
    group = {"survivors": [], "by_operator": {"<": full}, "by_file": {reason: full}}
    return {
        "commit": "c",
        "sources": mutants.sources(ROOT),
        "plan": mutants.plan([]),
        **group,
        **count,
        "killed": 99,
        "score": 99.0,
        "survivors": [survivor | {"reason": reason}],
        "python": group | full,
        "predecessor": [{"defect": reason, "file": "f", "line": 1, "killed": True, "test": MACHINE}],
    }


# --- the page -----------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Reads a page, and fails where a tag is not closed as it was opened."""

    EMPTY = ("meta", "br", "img", "input", "wbr", "rect")
    READ = ("h2", "pre", "style", "script")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {tag: [] for tag in self.READ}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in self.EMPTY:
            self._open.append(tag)
        if tag in self.READ:
            self.texts[tag].append("")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in {*self._open} & {*self.READ}:
            self.texts[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


@pytest.fixture(scope="module")
def html(hostile: Report) -> str:
    return page(hostile)


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    return Reader(html)


def test_every_part_is_on_the_page_and_every_link_leads_somewhere(read: Reader) -> None:
    ids = Counter(read.values("id"))
    assert set(TITLES) | {"verdict"} <= set(ids)
    assert max(ids.values()) == 1
    inside = [link.removeprefix("#") for link in read.values("href") if link.startswith("#")]
    assert len(inside) > 500
    assert set(inside) <= set(ids)
    titles = "\n".join(read.texts["h2"])
    assert all(title in titles for title in TITLES.values())


def test_the_page_loads_nothing(read: Reader) -> None:
    assert all(source.startswith("data:") for source in read.values("src"))
    assert all(link.startswith(("#", "https://")) for link in read.values("href"))
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in read.tags}
    assert not re.search(r"url\(|@import", read.texts["style"][0])
    policy = next(
        one["content"] for one in read.all("meta") if one.get("http-equiv") == "Content-Security-Policy"
    )
    for tag in ("style", "script"):
        assert f"{tag}-src '{content_hash(read.texts[tag][0])}'" in policy
        assert len(read.all(tag)) == 1
    assert "default-src 'none'" in policy


def test_hostile_text_stays_text(html: str, read: Reader) -> None:
    assert not {"onerror", "onload", "onclick", "style"} & {name for _, one in read.tags for name in one}
    assert "javascript:" not in "".join(read.values("href"))
    assert "example.org" not in html
    assert HOSTILE in "".join(read.texts["pre"])
    assert html.count("<script") == 1


def test_the_page_can_be_used_by_all(read: Reader) -> None:
    assert read.all("html") == [{"lang": "en-GB"}]
    assert len(read.all("main")) == len(read.all("h1")) == len(read.all("header")) == 1
    assert all(head["scope"] in ("row", "col") for head in read.all("th"))
    assert all(picture["alt"] for picture in read.all("img"))
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert all(next_one - one <= 1 for one, next_one in pairwise(levels))


def test_all_text_has_contrast() -> None:
    """At least 4.5 to 1, as WCAG 2.2 asks, on screen in both schemes and on paper."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    blocks = re.findall(r":root \{([^}]*)\}", (ROOT / "scripts/audit/page.css").read_text())
    assert len(blocks) == 3
    for block in blocks:
        colours = {name: luminance(value) for name, value in re.findall(r"--(\w+): (#\w+);", block)}
        for text in ("ink", "quiet", "link", "good", "bad", "warn", "cool"):
            for ground in ("paper", "raised"):
                dark, light = sorted((colours[text], colours[ground]))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, block)


# --- what the report says -----------------------------------------------------------------------------------


def test_where_all_tests_pass_all_evidence_is_found(record: Record) -> None:
    report = gather.gather(ROOT, record)
    elsewhere = ("examined", "mutation", "not_verified")
    assert {
        name: part.faults for name, _, part in report.parts() if part.faults and name not in elsewhere
    } == {}
    assert (
        f"{len(record.pytest.cases) + len(record.cairo.cases):,} tests passed, none failed" in report.verdict
    )


def test_the_json_says_the_same(hostile: Report) -> None:
    written = hostile.model_dump_json()
    assert Report.model_validate_json(written) == hostile
    assert json.loads(written)["verdict"] == hostile.verdict
    assert json.loads(written)["tests"]["status"] == Status.FAILED


def fail(record: Record) -> None:
    record.pytest.cases.append(Case(id=FAILING, outcome=Outcome.FAILED, reason="planted"))


def fail_a_defence(record: Record) -> None:
    case = next(case for case in record.pytest.cases if case.id.endswith("::test_who_may_call_what"))
    case.outcome = Outcome.FAILED


def leave_out_a_test(record: Record) -> None:
    record.pytest.cases = [case for case in record.pytest.cases if not case.id.endswith("who_may_call_what")]


def break_off(record: Record) -> None:
    record.pytest.status = 3


def reach_nothing(record: Record) -> None:
    for case in record.pytest.cases:
        case.reach = []


def reach_one_thing_less(record: Record) -> None:
    next(case for case in record.pytest.cases if case.reach).reach = [reach(tables={"rule": {"give": 0}})]


def fail_in_cairo(record: Record) -> None:
    record.cairo = cairo_run("test medsync::hash::tests::it ... fail (gas usage est.: 1)\n", 1)


def find_no_cairo_tests(record: Record) -> None:
    record.cairo = cairo_run("", 0)


def change_files(record: Record) -> None:
    record.subject = record.subject.model_copy(update={"tree": "another"})


def change_files_meanwhile(record: Record) -> None:
    record.disturbed = True


def know_no_commit(record: Record) -> None:
    record.subject = record.subject.model_copy(update={"commit": None})


@pytest.mark.parametrize(
    ("plant", "status", "said"),
    [
        (fail, {"tests": Status.FAILED}, f"{FAILING} failed"),
        (fail_a_defence, dict.fromkeys(("tests", "threats", "coverage"), Status.FAILED), "call_what failed"),
        (leave_out_a_test, dict.fromkeys(("tests", "threats", "coverage"), Status.MISSING), "did not run"),
        (break_off, {"tests": Status.FAILED}, "status 3"),
        (reach_nothing, {"reached": Status.MISSING, "invariants": Status.MISSING}, "what it reached"),
        (reach_one_thing_less, {"reached": Status.FAILED}, "give was never reached"),
        (
            fail_in_cairo,
            {"cairo": Status.FAILED, "threats": Status.MISSING},
            "medsync::hash::tests::it failed",
        ),
        (find_no_cairo_tests, {"cairo": Status.MISSING}, "found no tests"),
        (change_files, {"examined": Status.STALE}, "Files changed since"),
        (change_files_meanwhile, {"examined": Status.STALE}, "Files changed while"),
        (know_no_commit, {"examined": Status.MISSING}, "the tested commit is unknown"),
    ],
)
def test_what_is_wrong_is_said(
    record: Record, plant: Callable[[Record], None], status: dict[str, Status], said: str
) -> None:
    plant(record)
    report = gather.gather(ROOT, record)
    parts: dict[str, Part] = {name: part for name, _, part in report.parts()}
    assert {name: parts[name].status for name in status} == status
    assert not report.passed
    assert all(TITLES[name] in report.verdict for name in status)
    assert said in " ".join(fault.text for name in status for fault in parts[name].faults)


def test_without_scarb_its_tests_are_skipped_not_missing(record: Record) -> None:
    record.cairo = CairoRun(not_run="scarb is not installed")
    report = gather.gather(ROOT, record)
    assert report.cairo.status == report.threats.status == Status.SKIPPED
    assert "scarb is not installed" in page(report)


@pytest.mark.parametrize(
    ("change", "known", "status", "said"),
    [
        ({}, {"m": mutants.Reason("c", "r")}, Status.HOLDS, ""),
        ({"plan": "another"}, {"m": mutants.Reason("c", "r")}, Status.STALE, "produce different mutants"),
        (
            {"sources": {"lib.cairo": "-"}},
            {"m": mutants.Reason("c", "r")},
            Status.STALE,
            "changed after it was mutated",
        ),
        ({"killed": 94, "score": 94.0}, {"m": mutants.Reason("c", "r")}, Status.FAILED, "below 95"),
        ({}, {}, Status.FAILED, "has no reason"),
    ],
)
def test_a_mutation_report_is_judged(
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, Any],
    known: dict[str, mutants.Reason],
    status: Status,
    said: str,
) -> None:
    content = mutation("r") | change
    monkeypatch.setattr(mutants, "read", lambda root: content)
    monkeypatch.setattr(mutants, "reasons", lambda root: known)
    monkeypatch.setattr(mutants, "all_mutants", lambda root: [])
    monkeypatch.setattr(mutants, "JSON", "README.md")  # which is there
    part = gather.mutation_part(ROOT, gather.Index([]))
    assert part.status == status
    assert said in " ".join(fault.text for fault in part.faults)


def test_without_a_mutation_report_it_is_missing(tmp_path: Path) -> None:
    assert gather.mutation_part(tmp_path, gather.Index([])).status == Status.MISSING


def test_a_part_that_cannot_be_gathered_is_missing_and_the_others_are_there(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "errors", lambda: {"POOL/PLANTED": {}})
    report = gather.gather(ROOT, record)
    assert report.errors.status == Status.MISSING
    assert report.threats.status == Status.HOLDS
    assert report.errors.faults[0].text in page(report).replace("&#39;", "'").replace("<wbr>", "")


# --- the command --------------------------------------------------------------------------------------------


def test_a_failure_ends_with_an_error_and_a_report(record: Record, tmp_path: Path) -> None:
    fail(record)
    recorded, folder = tmp_path / "tests.json", tmp_path / "audit"
    recorded.write_text(record.model_dump_json())
    with pytest.raises(VerificationError, match=f"{re.escape(FAILING)} failed"):
        command.run(["--from", str(recorded), "--output", str(folder)])
    report = Report.model_validate_json((folder / command.DATA).read_bytes())
    assert report.tests.status == Status.FAILED
    assert FAILING.rpartition("/")[2] in (folder / command.PAGE).read_text().replace("<wbr>", "")
    assert sorted(path.name for path in folder.iterdir()) == [command.PAGE, command.DATA]


def test_a_record_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in ("", "{}", '{"pytest": {}}'):
        (tmp_path / "tests.json").write_text(content)
        arguments = ["--from", str(tmp_path / "tests.json"), "--output", str(tmp_path / "audit")]
        with pytest.raises(InputError, match="is not a recorded run"):
            command.run(arguments)
    assert not (tmp_path / "audit").exists()


def test_an_interruption_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Record:
        raise KeyboardInterrupt

    command.write(tmp_path, {command.PAGE: "old", command.DATA: "old"})
    monkeypatch.setattr(command, "run_everything", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.run(["--output", str(tmp_path)])
    with pytest.raises(UnicodeEncodeError):
        command.write(tmp_path, {command.PAGE: "new", command.DATA: "\ud800"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        command.PAGE: "old\n",
        command.DATA: "old\n",
    }


def test_every_file_counts_for_the_tree(pytester: pytest.Pytester) -> None:
    assert tree_of(pytester.path) is None
    pytester.run("git", "init", "--quiet")
    trees = set()
    for name, content in (("a", "1"), ("a", "2"), ("b", "2"), (".gitignore", "c"), ("c", "3")):
        (pytester.path / name).write_text(content)
        trees.add(tree_of(pytester.path))
    assert len(trees) == 4  # an ignored file does not


# --- the recorder -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_recorder_writes_down_what_happened(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, processes: str
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins take seconds to load
    pytester.makepyfile(
        test_some="""
        import pytest

        @pytest.mark.parametrize("n", [1, 2])
        def test_passes(n, record_property):
            record_property("reach", {"title": "t", "tables": {"rule": {"give": n}}})
            record_property("other", 1)

        def test_fails():
            assert 1 == 2, "a planted reason"

        @pytest.mark.skip(reason="no Scarb")
        def test_is_skipped():
            pass

        @pytest.mark.xfail(reason="known")
        def test_fails_as_expected():
            assert False

        @pytest.fixture
        def broken():
            yield
            raise RuntimeError("not cleaned up")

        def test_ends_badly(broken):
            pass
        """,
        test_broken="import no_such_module",
    )
    options = ["-p", "xdist", "-p", "scripts.audit.recorder", "--continue-on-collection-errors"]
    # At its end it would put back the signal handlers of before wasmtime's, and the next trap would kill us.
    options += ["-p", "no:faulthandler"]
    result = pytester.runpytest("-n", processes, "--record", "run.json", *options)
    run = PytestRun.model_validate_json((pytester.path / "run.json").read_bytes())
    cases = {case.id.rpartition("::")[2]: case for case in run.cases}
    assert {name: case.outcome for name, case in cases.items()} == {
        "test_passes[1]": Outcome.PASSED,
        "test_passes[2]": Outcome.PASSED,
        "test_fails": Outcome.FAILED,
        "test_is_skipped": Outcome.SKIPPED,
        "test_fails_as_expected": Outcome.XFAILED,
        "test_ends_badly": Outcome.FAILED,
        "test_broken.py": Outcome.FAILED,
    }
    assert run.status == result.ret == 1
    assert "a planted reason" in cases["test_fails"].reason
    assert "not cleaned up" in cases["test_ends_badly"].reason
    assert "no_such_module" in cases["test_broken.py"].reason
    assert (cases["test_is_skipped"].reason, cases["test_fails_as_expected"].reason) == ("no Scarb", "known")
    assert cases["test_passes[2]"].reach == [{"title": "t", "tables": {"rule": {"give": 2}}}]
    assert cases["test_fails"].reach == []
    assert (run.profile, run.examples) == (settings.get_current_profile_name(), settings().max_examples)


def test_the_words_of_cairos_runner_are_understood() -> None:
    output = (
        "running 3 tests\n"
        "test medsync::hash::tests::one ... ok (gas usage est.: 45228)\n"
        "test medsync::hash::tests::two ... ignored\n"
        "test medsync::hash::tests::three ... fail (gas usage est.: 300)\n"
    )
    outcomes = [case.outcome for case in cairo_run(output, 1).cases]
    assert outcomes == [Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED]
    (broken,) = cairo_run("error: Identifier not found.\n", 1).cases
    assert broken.outcome == Outcome.FAILED
    assert "Identifier not found" in broken.reason
