"""A real server against its own OpenAPI document: whatever schemathesis sends, no 5xx, and answers as documented."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
import urllib.request
from pathlib import Path

from ivr.bench.harness import ROOT, Server
from ivr.web import openapi

HERE = Path(__file__).parent
SETTINGS = {
    "backend": [{"name": "bank", "url": "http://127.0.0.1:9/hooks", "webhook_secret_env": "HOOK_SECRET"}],
    "outbound": {"policies": {"fraud": {"always": True}, "reminder": {"windows": ["mon-fri 09:00-20:00"]}}},
}


SURVEY = """
languages: [en, zh]
start: bye
given: [branch]
slots: {branch: {kind: text}}
steps:
  bye: {kind: hangup, prompt: {en: "Thank you for visiting {branch}.", zh: "谢谢您光临{branch}。"}}
"""
PLANS = {"survey": SURVEY, "verify": ROOT / "dialplans" / "verify.yaml"}
NUMBERS = [{"pattern": "400", "plan": "survey"}, {"pattern": "401", "plan": "survey", "language": "zh"}]


def order(server: Server) -> str:
    """The id of a job, made of the document's own example."""
    create = openapi.document()["paths"]["/v1/verifications"]["post"]
    example = create["requestBody"]["content"]["application/json"]["examples"]["zh"]["value"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}/v1/verifications", json.dumps(example).encode(),
        {"Authorization": f"Bearer {server.token}"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["id"]


async def test_whatever_is_sent_the_answer_is_as_documented(tmp_path):
    server = Server(PLANS, NUMBERS, SETTINGS)
    key = base64.b64encode(bytes(32)).decode()
    server.environment = {"IVR_EVIDENCE_KEY": key, "IVR_PROOF_KEY": key, "HOOK_SECRET": f"whsec_{key}"}
    async with server:
        job_id = await asyncio.to_thread(order, server)
        schemathesis = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run",
            f"http://127.0.0.1:{server.http_port}/openapi.json", "--exclude-method", "HEAD", "--no-color",
            cwd=tmp_path, env={**os.environ, "IVR_TOKEN": server.token, "IVR_JOB_ID": job_id,
                               "SCHEMATHESIS_HOOKS": str(HERE / "schemathesis_hooks.py")},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said = (await schemathesis.communicate())[0].decode()
    assert schemathesis.returncode == 0, said
    tested = re.search(r"Tested: +(\d+)", said)
    assert tested, said
    assert int(tested[1]) > 40, said
