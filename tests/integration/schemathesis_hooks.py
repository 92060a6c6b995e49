"""What schemathesis is told of this API: how NDJSON is written, and an id that exists where one may be asked for."""

import json
import os
import re

import schemathesis

JOB_ID = re.compile("job_[0-9a-f]{32}")


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    lines = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(line).encode() for line in lines)


@schemathesis.deserializer("application/x-ndjson")
def first_line(ctx, response):
    return json.loads(response.content.partition(b"\n")[0])


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Half of the ids of the right form become that of a job there is; others stay, and are a 404."""
    name = (path_parameters or {}).get("id")
    if isinstance(name, str) and JOB_ID.fullmatch(name) and int(name[-1], 16) < 8:
        path_parameters["id"] = os.environ["IVR_JOB_ID"]
    return path_parameters
