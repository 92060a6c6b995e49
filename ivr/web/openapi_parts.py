"""The pieces that the OpenAPI document is put together from: bodies, problems, operations, parameters. Pure."""

from __future__ import annotations

from typing import Any

from ivr.web.problem import CONTENT_TYPE as PROBLEM

JSON = "application/json"


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def body(text: str, media: str, schema: dict[str, Any], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": text, "content": {media: {"schema": schema}}}
    return answer | {"headers": headers} if headers else answer


def header(text: str, **schema: Any) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string", **schema}}


_RETRY = {"Retry-After": header("Seconds to wait", type="integer")}
_PROBLEMS = {
    "400": ("A parameter is wrong; `errors` names it", None),
    "401": ("No token, or a wrong one; `detail` says how to set one", {"WWW-Authenticate": header("The challenge")}),
    "404": ("There is no such thing", None),
    "403": ("The key has not the scope", None),
    "409": ("It has changed since, or is there already", None),
    "405": ("Another method than this path has", {"Allow": header("What is allowed")}),
    "408": ("A body that came too slowly", None),
    "413": ("A body over 64 KiB", None),
    "416": ("A range outside the recording", {"Content-Range": header("`bytes */size`")}),
    "429": ("Too many requests of this key", _RETRY),
    "503": ("Not now", _RETRY),
}


def problems(*codes: str) -> dict[str, Any]:
    return {c: body(_PROBLEMS[c][0], PROBLEM, ref("Problem"), _PROBLEMS[c][1]) for c in (*codes, "405", "408", "413")}


def get(summary: str, answers: dict[str, Any], tag: str, parameters: tuple = (), protected: bool = True) -> dict:
    operation: dict[str, Any] = {"summary": summary, "tags": [tag], "responses": answers}
    if parameters:
        operation["parameters"] = list(parameters)
    if not protected:
        operation["security"] = []
    head = {c: {k: v for k, v in a.items() if k != "content"} for c, a in answers.items()}
    return {"get": operation, "head": operation | {"summary": f"{summary}: headers only", "responses": head}}


def post(summary: str, answers: dict[str, Any], tag: str, parameters: tuple = (), body: str = "") -> dict:
    return {"post": operation(summary, answers, tag, parameters, body)}


def operation(summary: str, answers: dict[str, Any], tag: str, parameters: tuple = (), body: str = "") -> dict:
    """One that is no GET; `body` names the schema of what is sent."""
    operation: dict[str, Any] = {"summary": summary, "tags": [tag], "responses": answers}
    if parameters:
        operation["parameters"] = list(parameters)
    if body:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": ref(body)}}}
    return operation


def query(name: str, text: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": schema}
