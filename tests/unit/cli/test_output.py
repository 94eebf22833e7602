"""URLs in what is shown lose what may be secret in them, and nothing else of the sentence is lost."""

import pytest

from medsync.cli.output import discreet

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
