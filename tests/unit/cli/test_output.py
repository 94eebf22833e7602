"""URLs in what is shown lose what may be secret in them, and nothing else of the sentence is lost."""

import sys

import pytest

from medsync.cli.output import Hex, Whole, discreet, show, shown

SECRET = "5ecr3tK3y"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://127.0.0.1:1: refused", "at http://127.0.0.1:1: refused"),
        ("at http://127.0.0.1:5050.", "at http://127.0.0.1:5050."),
        ("(see https://node.example)", "(see https://node.example)"),
        (f"https://user:{SECRET}@node.example/v2/{SECRET}?key={SECRET}.", "https://node.example."),
        (f"at 'https://node.example:8443/{SECRET}', or", "at 'https://node.example:8443', or"),
        (f"wss:/node.example/{SECRET}", "wss://node.example"),
        (f"https://node.example:{SECRET}/ is", "(malformed URL) is"),
        ("begins with http:// or https://; it does not", "begins with http:// or https://; it does not"),
        (
            f"first http://a.example/{SECRET}\nthen http://b.example/{SECRET}",
            "first http://a.example\nthen http://b.example",
        ),
    ],
)
def test_urls_are_shown_without_secrets(text: str, shown: str) -> None:
    assert discreet(text) == shown


FELT = 0x55DD16AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB753


def test_what_another_command_is_given_is_whole() -> None:
    assert shown(Hex(FELT), short=True) == "0x55dd16…aab753"
    assert shown(Whole(FELT), short=True) == f"{FELT:#x}"


@pytest.mark.parametrize(("kind", "note"), [(Hex, "…: shortened; --json shows all of it.\n"), (Whole, "")])
def test_a_table_says_at_a_terminal_that_it_shortens(
    kind: type[Hex], note: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"record": kind(FELT)}]
    show(rows, as_json=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show(rows, as_json=False)
    assert capsys.readouterr().err == note
