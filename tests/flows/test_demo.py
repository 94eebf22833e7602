"""The demo runs to its end, shows every outcome, and stops at the first statement that does not hold."""

from __future__ import annotations

import pytest
from rich.console import Console

from medsync.deployment.devnet import Devnet
from medsync.errors import VerificationError
from medsync.starknet.network import DEVNET_URL_VARIABLE
from scripts.demo import story

pytestmark = pytest.mark.usefixtures("restored")


@pytest.fixture(autouse=True)
def _on_this_devnet(devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEVNET_URL_VARIABLE, devnet.url)


async def test_the_whole_story_holds(devnet: Devnet) -> None:
    before = devnet.latest_time()
    narrator = await story.play(Console(quiet=True))
    outcomes = {cost.outcome for cost in narrator.costs} - {""}
    assert outcomes == {
        "PERMIT / GRANTED",
        "NO_CONSENT / NEVER_GIVEN",
        "DENY / CATEGORY_NOT_COVERED",
        "DENY / CAMPAIGN_MISMATCH",
        "DENY / PURPOSE_REFUSED",
        "DENY / REWARD_UNFUNDED",
        "DENY / USES_EXHAUSTED",
        "DENY / EXPIRED",
        "DENY / ALL_REVOKED",
        "DENY / WITHDRAWN",
        "DENY / HOSPITAL_TOO_NEW",
        "EMERGENCY / BREAK_GLASS",
        "DENY / EMERGENCY_REFUSED",
        "DENY / NOT_HOSPITAL",
    }
    assert narrator.checks > len(narrator.costs)
    assert devnet.latest_time() == before, "a devnet that is only visited is left as it was"


async def test_a_false_statement_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the hospital's share differs from the one the demo states."""
    monkeypatch.setattr(story, "CUSTODIAN_BPS", story.CUSTODIAN_BPS + 1)
    with pytest.raises(VerificationError, match=r"the campaign owes the first patient 3 STRK"):
        await story.play(Console(quiet=True))
