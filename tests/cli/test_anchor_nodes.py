"""`medsync deploy --anchor-nodes`: a PrivateAnchor beside what is deployed already."""

from medsync.errors import ExitCode
from medsync.starknet.signer import public_key_of
from tests.cli.conftest import Here


def test_an_anchor_is_planned_deployed_checked_and_left_alone(here: Here) -> None:
    nodes = [{"stark_key": hex(public_key_of(key)), "identity": hex(key)} for key in (11, 12)]
    here.write("nodes.json", {"threshold": 2, "nodes": nodes})
    deploy = "--deployment anchored.json deploy --anchor-nodes nodes.json"
    planned = {one["step"]: one for one in here.json(f"{deploy} --dry-run")["steps"]}
    assert planned["deploy MedSync"]["state"] == "on the chain"
    assert planned["deploy PrivateAnchor"]["state"] == "to be sent"

    deployed = here.json(deploy)
    assert deployed["private_anchor"] == planned["deploy PrivateAnchor"]["address"]
    assert deployed["medsync"] == here.read("devnet.json")["contracts"]["MedSync"]["address"]
    assert here.json("--deployment anchored.json deployments check")["ok"] is True
    # It stays, asked for or not; the deployment that was never asked for one has none.
    assert here.json(deploy) == here.json("--deployment anchored.json deploy") == deployed
    assert "private_anchor" not in here.json("deploy")


def test_a_file_that_names_no_nodes(here: Here) -> None:
    here.write("nodes.json", {"threshold": 2})
    done = here.run("--deployment other.json deploy --anchor-nodes nodes.json")
    assert done.code == ExitCode.BAD_INPUT
    assert "nodes.json is not a valid file of nodes: nodes" in done.err
    assert here.run("deploy --anchor-nodes nowhere.json").code == ExitCode.BAD_INPUT
