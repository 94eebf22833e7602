"""Felts in JSON: parser and published schema accept the same texts, and each felt has one of them."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from medsync.deployment.record import QuorumNode
from medsync.protocol.felt import PRIME
from medsync.protocol.json import Felt


class Model(BaseModel):
    value: Felt


SCHEMA = Model.model_json_schema(mode="serialization")

TEXTS = st.one_of(
    st.from_regex(r"0[xX][0-9a-fA-F]{0,66}", fullmatch=True),
    st.integers(0, 2**256).map(hex),
    st.integers(PRIME - 2**16, PRIME + 2**16).map(hex),
    st.sampled_from([PRIME + offset for offset in (-(2**192), -1, 0, 1, 2**192, 16 * 2**248)]).map(hex),
    st.text(),
)


def parsed(value: Any) -> int | None:
    try:
        return Model.model_validate_json(json.dumps({"value": value})).value
    except ValidationError:
        return None


def valid(value: Any) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid({"value": value})


@given(TEXTS)
def test_parser_and_schema_agree(text: str) -> None:
    # Python's `$` also matches before a last line break, ECMAScript's, which the schema means, does not.
    accepted = valid(text) and not text.endswith("\n")
    assert (parsed(text) is not None) == accepted
    if accepted:
        number = parsed(text)
        assert number is not None
        assert hex(number) == text, "there is one way to write it"
        assert 0 <= number < PRIME


@given(st.integers(0, PRIME - 1) | st.sampled_from([0, 1, 2**251, PRIME - 1, PRIME - 2**192]))
def test_every_felt_is_written_and_read(number: int) -> None:
    document = Model(value=number).model_dump_json()
    assert valid(json.loads(document)["value"])
    assert Model.model_validate_json(document).value == number


@pytest.mark.parametrize(
    "value", [1, 1.0, True, None, "0X00Ab", "0xAB", "0x01", "0x", "1", " 0x1", hex(PRIME), []]
)
def test_anything_else_is_refused_by_both(value: Any) -> None:
    assert parsed(value) is None
    assert not valid(value)


@pytest.mark.parametrize("value", [-1, PRIME, True, 1.0])
def test_integers_in_python_are_checked(value: Any) -> None:
    with pytest.raises(ValidationError):
        Model(value=value)


def test_what_is_refused_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as refused:
        Model.model_validate_json('{"value": "0xSECRET"}')
    assert "SECRET" not in refused.value.errors()[0]["msg"]


def test_records_of_deployments_use_it() -> None:
    """The case that parser and schema once disagreed about."""
    with pytest.raises(ValidationError):
        QuorumNode.model_validate_json('{"stark_key": "0X00Ab", "identity": "0x1"}')
