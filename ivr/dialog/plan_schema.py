"""The dialplan format as JSON Schema, for editors that complete and check YAML while it is written.

Says what the loader says about shapes. What needs the rest of the plan (steps and slots that are not there, languages
without words) only the loader knows.
"""

from __future__ import annotations

import json
from typing import Any

from ivr.dialog import plan_format

FILE_NAME = "dialplan.schema.json"


def schema() -> dict[str, Any]:
    """JSON Schema, draft 7: the newest that the YAML language server of editors understands whole."""
    definitions: dict[str, Any] = {}
    plan = plan_format.PLAN.schema(definitions)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "dialplan",
        "description": "A telephone service: what is said, asked, looked up, and where each answer leads.",
        **plan,
        "definitions": definitions,
    }


def text() -> str:
    """The schema as the file that stands beside the dialplans."""
    return json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"
