"""Campaign terms as a file, which the funder hands to those who give or use a consent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from medsync.cli import values
from medsync.cli.output import Amount, Hex, Time
from medsync.cli.values import read_json
from medsync.errors import InputError
from medsync.protocol.felt import InvalidValue, parse_felt
from medsync.protocol.types import CampaignTerms
from medsync.protocol.vocabulary import Purpose
from medsync.storage.versions import check_form

SCHEMA: Final = "medsync.campaign/2"

_OLDER: Final = "Terms of the first edition name no study and no spender: pool fund writes new ones."


def read(path: Path, name: str) -> CampaignTerms:
    """The terms in a file. Raises InputError, naming what is wrong, for anything else."""
    document = read_json(path, name)
    check_form(document, SCHEMA, f"{name}: {path}", member="schema", older=_OLDER)
    try:
        terms = CampaignTerms(
            pool=parse_felt(document["pool"], "pool"),
            funder=parse_felt(document["funder"], "funder"),
            purpose=Purpose(document["purpose"]),
            study=parse_felt(document["study"], "study"),
            rate=int(document["rate"]),
            custodian=parse_felt(document["custodian"], "custodian"),
            custodian_bps=document["custodian_bps"],
            expires_at=document["expires_at"],
            spender=parse_felt(document["spender"], "spender"),
            salt=parse_felt(document["salt"], "salt"),
        )
        if document["schema"] != SCHEMA or parse_felt(document["id"], "id") != terms.id:
            raise InvalidValue("its schema or id does not fit the terms")
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InputError(f"{name}: {path} holds no campaign terms: {what}.") from None
    return terms


def read_id(text: str, name: str) -> int:
    """The id of a campaign, which a file of its terms may give."""
    if text[:2] in ("0x", "0X"):
        return values.felt(text, name)
    return read(Path(text), name).id


def dumps(terms: CampaignTerms) -> str:
    """What a file of terms holds. Times are unix seconds there, so that every reader hashes the same."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "id": hex(terms.id),
        "pool": hex(terms.pool),
        "funder": hex(terms.funder),
        "purpose": str(terms.purpose),
        "study": hex(terms.study),
        "rate": str(terms.rate),
        "custodian": hex(terms.custodian),
        "custodian_bps": terms.custodian_bps,
        "expires_at": terms.expires_at,
        "spender": hex(terms.spender),
        "salt": hex(terms.salt),
    }
    return json.dumps(document, indent=2) + "\n"


def shown(terms: CampaignTerms, decimals: int = 0, symbol: str = "") -> dict[str, Any]:
    """Terms as commands answer them."""
    return {
        "campaign": Hex(terms.id),
        "pool": Hex(terms.pool),
        "funder": Hex(terms.funder),
        "purpose": terms.purpose,
        "study": Hex(terms.study),
        "rate": Amount(terms.rate, decimals, symbol),
        "custodian": Hex(terms.custodian) if terms.custodian else None,
        "custodian_bps": terms.custodian_bps,
        "campaign_expires_at": Time(terms.expires_at),
    }
