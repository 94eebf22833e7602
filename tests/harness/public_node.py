"""A node like one of Sepolia: a devnet on Sepolia's chain, behind a proxy that hides `devnet_*`."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from medsync.deployment.devnet import Devnet


@dataclass(frozen=True)
class PublicNode:
    """The node's URL as its users know it, and the devnet behind it, which stands for the faucet."""

    url: str
    devnet: Devnet


class _Handler(BaseHTTPRequestHandler):
    target: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked: dict[str, Any] = json.loads(body)
        if asked["method"].startswith("devnet_"):
            error = {"code": -32601, "message": "Method not found"}
            answer = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}).encode()
        else:
            request = urllib.request.Request(self.target, body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = response.read()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def public_node() -> Iterator[PublicNode]:
    """A node of its own, ended at the end of the block."""
    with Devnet.start(chain_id="TESTNET") as devnet:
        handler = type("Handler", (_Handler,), {"target": devnet.rpc_url})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield PublicNode(f"http://127.0.0.1:{server.server_address[1]}/rpc", devnet)
            finally:
                server.shutdown()
                thread.join()
