"""Whatever is typed: a message that names it, the documented exit code, no traceback, and never a secret."""

import json

import pytest

from medsync.errors import ExitCode
from medsync.starknet.accounts import create_keystore
from tests.cli.conftest import Cli, Here

TERMS = "--purpose TREAT --categories ALL --expires +1d"
ADD = f"consent add devnet:1 {TERMS}"
CARD = "private card --account devnet:2 --key missing.key --output card.json"
BATCH = "--purpose TREAT --categories ALL --account devnet:1"
SIGN = "consent sign devnet:1 --purpose TREAT --output signed"

USAGE = [
    ("frobnicate", "No such command 'frobnicate'"),
    ("consent ad", "Did you mean 'add'"),
    ("consent add devnet:1", "--purpose"),
    (f"{ADD} --max-uses many", "--max-uses"),
    (f"{ADD} --max-uses 4294967296", "--max-uses"),
    ("access export --output x --format pdf", "pdf"),
    ("--network", "--network"),
]
VALUES = [
    (f"consent add 0xzz {TERMS}", "0xzz"),
    (f"consent add 1 {TERMS}", "GRANTEE"),
    (f"consent add 0x{'f' * 64} {TERMS}", "GRANTEE"),
    (f"consent add devnet:99 {TERMS}", "devnet:99"),
    (f"{ADD} --purpose MARKETING", "'MARKETING'"),
    (f"{ADD} --categories LABORATORY,SECRETS", "'SECRETS'"),
    (f"{ADD} --categories ''", "--categories"),
    (f"{ADD} --expires tomorrow", "'tomorrow'"),
    (f"{ADD} --expires 2027-02-30", "'2027-02-30'"),
    (f"{ADD} --expires 2027-01-01T12:00:00", "time zone"),
    (f"{ADD} --expires -5", "'-5'"),
    (f"{ADD} --expires 99999999999999999999", "100 years ahead"),
    (f"{ADD} --expires 1796083200000", "in seconds it is 1796083200"),
    (f"{CARD} --expires 1796083200000", "in seconds it is 1796083200"),
    (f"{CARD} --expires +2y", "at most 366 days"),
    (f"{CARD} --expires now", "at most 366 days"),
    (f"{ADD} --terms nowhere.pdf", "nowhere.pdf"),
    (f"{ADD} --reward nowhere.json", "nowhere.json"),
    (f"{ADD} --reward not.json", "not.json is not JSON"),
    (f"{ADD} --reward empty.json", "holds no campaign terms"),
    (f"{ADD} --reward terms.json", "id does not fit"),
    (f"{ADD} --reward first.json", "Terms of the first edition"),
    (f"{ADD} --reward 0x5", "no campaign 0x5 is known"),
    (f"{ADD} --purpose BTG", "access emergency"),
    (f"{ADD} --study empty.json", "--study"),
    (f"{ADD} --study nowhere.json", "consent study new"),
    (f"{ADD} --scoped", "--scoped needs --terms"),
    ("consent emergency choose some", "every, named, nobody"),
    ("consent study show empty.json", "empty.json"),
    ("consent delegate devnet:1 --powers all", "'all'"),
    (SIGN, "--categories"),
    (f"{SIGN} --categories ALL --expires +1d --deadline 2020-01-01", "--deadline is over"),
    (f"{SIGN} --revoke --deadline 2020-01-01", "--deadline is over"),
    (f"{SIGN} --categories ALL --expires 2020-01-01", "--expires is over"),
    ("consent submit empty.json", "typed_data is missing"),
    ("entity register devnet:1 --role king --profile 0x1", "'king'"),
    (f"access batch empty.json {BATCH}", "0 requests"),
    (f"access batch odd.json {BATCH}", "request 1 of odd.json"),
    (f"access batch odd.csv {BATCH}", "request 1 of odd.csv"),
    (f"access batch long.csv {BATCH}", "101 requests"),
    ("access justify devnet:1 1 --statement 0x0", "--statement"),
    ("access deletion devnet:1 --purpose TREAT --statement nowhere.txt", "nowhere.txt"),
    ("access statement empty.json", "empty.json"),
    ("access verify empty.json", "schema"),
    ("access verify not.json --offline", "csv"),
    ("access export devnet:1 --output empty.json", "empty.json exists already"),
    ("pool fund --terms new.json --amount 1", "new.json does not exist"),
    ("pool fund --terms new.json", "Either --uses or --amount"),
    ("pool fund --terms new.json --uses 1 --purpose TREAT --rate 0 --expires +1d", "--rate cannot be 0"),
    ("pool campaign 0x5", "no campaign 0x5 is known"),
    ("pool create --token STRK", "--token"),
    ("pool withdraw 1e9", "'1e9'"),
    ("pool withdraw 1.5 --unit smallest", "no parts"),
    ("pool withdraw 0.0000000000000000001", "18 decimal places"),
    ("deploy --salt salt", "--salt"),
    ("deploy --token STRK", "or leave --token out for STRK"),
]
SETTINGS = [
    ("entity list --deployment nowhere", "nowhere.json"),
    ("entity list --deployment ./empty.json", "not a valid deployment record"),
    ("entity list --network mars", "'mars'"),
    ("entity list --network sepolia", "--rpc-url"),
    (
        "entity list --rpc-url ftp://localhost",
        "--rpc-url must be an http or https URL; ftp://localhost is not: it does not begin with http://",
    ),
    ("entity list --rpc-url ,", "--rpc-url contains no URL"),
    (
        "entity list --rpc-url http://localhost:port",
        "--rpc-url must be an http or https URL; (malformed URL)",
    ),
    ("entity list --rpc-url http://", "it names no host"),
    (f"{ADD} --account someone", "no account of that name"),
    (f"{ADD} --account 0x1@nowhere", "passphrase"),
    (f"{ADD} --account ./nowhere.json", "nowhere.json"),
    (f"{ADD} --account empty.json", "empty.json cannot be used: version"),
    (f"{ADD} --account sncast:someone@nowhere.json", "nowhere.json"),
    ("account new devnet", "name is"),
    ("account show someone", "no account of that name"),
    ("account deploy someone", "no account of that name"),
    ("account fund someone --amount 1", "ACCOUNT"),
    ("account fund 0x1 --amount much", "'much'"),
    ("account new somebody", "MEDSYNC_ACCOUNT_PASSPHRASE"),
]
TABLE = [
    *((line, ExitCode.USAGE, named) for line, named in USAGE),
    *((line, ExitCode.BAD_INPUT, named) for line, named in VALUES + SETTINGS),
    (
        "deploy --token 0x1234567 --deployment ./unmade.json",
        ExitCode.NOT_VERIFIED,
        "There is no contract at 0x1234567",
    ),
    ("deploy --token devnet:1 --salt 0xa --dry-run", ExitCode.NOT_VERIFIED, "it has no name"),
    (
        "entity list --rpc-url http://127.0.0.1:1",
        ExitCode.UNREACHABLE,
        "No node answers at http://127.0.0.1:1: the connection was refused.",
    ),
    (
        "deploy --network sepolia --rpc-url https://rpc.example.org/v0_10",
        ExitCode.PUBLIC_NETWORK,
        "--allow-public-network",
    ),
    ("entity list --rpc-url http://192.0.2.1:5050", ExitCode.PUBLIC_NETWORK, "192.0.2.1"),
]


@pytest.fixture(scope="session", autouse=True)
def files(cli: Cli) -> None:
    """Files that are not what they are taken for."""
    cli.write("not.json", "seq;at\n")
    cli.write("empty.json", {})
    cli.write("odd.json", [{"patient": 5}])
    cli.write("odd.csv", "who\ndevnet:1\n")
    cli.write("long.csv", "patient\n" + "devnet:1\n" * 101)
    terms = {"pool": "0x1", "funder": "0x2", "purpose": "TREAT", "rate": "1", "custodian": "0x0"}
    more = {"custodian_bps": 0, "expires_at": 4_000_000_000, "salt": "0x1", "id": "0x1"}
    cli.write("first.json", {"schema": "medsync.campaign/1", **terms, **more})
    new = {"study": "0x0", "spender": "0x0"}
    cli.write("terms.json", {"schema": "medsync.campaign/2", **terms, **more, **new})


@pytest.mark.parametrize(("line", "code", "named"), TABLE, ids=[row[0] for row in TABLE])
def test_table(here: Here, line: str, code: ExitCode, named: str) -> None:
    done = here.run(line)

    assert (done.code, done.out) == (code, "")
    assert named in done.err
    assert done.err.startswith("medsync: ")
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("line", "code", "named"), [TABLE[0], TABLE[-3], TABLE[-2]], ids=lambda row: "")
def test_the_same_as_a_process_and_in_json(cli: Cli, line: str, code: ExitCode, named: str) -> None:
    done = cli.run(f"{line} --json")

    assert (done.code, done.out) == (code, "")
    error = json.loads(done.err)
    assert error["exit_code"] == code
    assert named in f"{error['message']} {error['hint']}"


SECRET = "c0ffee5ec2e7"


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({"MEDSYNC_ACCOUNT_ADDRESS": "0x1", "MEDSYNC_PRIVATE_KEY": f"0y{SECRET}"}, ADD),
        ({"MEDSYNC_ACCOUNT_ADDRESS": "0x1", "MEDSYNC_PRIVATE_KEY": f"0x{SECRET}"}, ADD),
        ({"MEDSYNC_ACCOUNT_ADDRESS": "0x1", "MEDSYNC_PRIVATE_KEY": f"0x{SECRET}{'f' * 52}"}, ADD),
        ({"MEDSYNC_ACCOUNT_PASSPHRASE": SECRET}, f"{ADD} --account 0x1@keystore"),
        ({"MEDSYNC_ACCOUNT_PASSPHRASE": "opens it"}, f"{ADD} --account 0x1@keystore"),
        ({}, f"entity list --rpc-url http://user:{SECRET}@127.0.0.1:1/{SECRET}"),
        ({}, f"entity list --rpc-url https://user:{SECRET}@example.org/{SECRET}"),
        ({"MEDSYNC_RPC_URL": f"https://{SECRET}:@example.org"}, "entity list --network sepolia"),
    ],
    ids=[
        "malformed key",
        "key",
        "key too large",
        "password",
        "keystore",
        "node",
        "public node",
        "environment",
    ],
)
def test_no_secret_is_shown_or_logged(here: Here, environment: dict[str, str], line: str) -> None:
    keystore = here.folder / "keystore"
    if not keystore.exists():
        create_keystore(keystore, "opens it", int(SECRET, 16))

    done = here.run(f"{line} --verbose", **environment)

    assert done.code not in (ExitCode.OK, ExitCode.FAILED)
    assert "Traceback" in done.err
    for secret in (SECRET, str(int(SECRET, 16)), "opens it"):
        assert secret not in done.err.lower() + here.log.read_text().lower()


def test_only_commands_with_a_unit_speak_of_it(here: Here) -> None:
    assert "--unit smallest" in here.run("pool withdraw much").err
    refused = here.run("account fund 0x1 --amount much").err
    assert "Write an amount like 12.5." in refused
    assert "--unit" not in refused


def test_traceback_only_if_asked_for(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError(f"a defect that quotes {SECRET}")

    monkeypatch.setattr("medsync.deployment.devnet.background_status", fail)
    quiet = here.run("devnet status")
    assert (quiet.code, quiet.out) == (ExitCode.FAILED, "")
    assert "Unexpected RuntimeError" in quiet.err
    assert "Traceback" not in quiet.err
    assert SECRET not in quiet.err + here.log.read_text()
    assert "Traceback" in here.run("devnet status --verbose").err
