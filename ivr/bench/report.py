"""How a bench ends: rows of required and measured, the machine, the seed; on the terminal and as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ivr.errors import IvrError

ROOT = Path(__file__).resolve().parents[2]
SEED = 20_251


@dataclass(frozen=True)
class Row:
    """One requirement. `holds` None: measured, nothing is required of it."""

    what: str
    required: str
    measured: str
    holds: bool | None


@dataclass
class Report:
    """What a bench found. `details` goes into the JSON only."""

    name: str
    seed: int
    quick: bool
    rows: list[Row] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def row(self, what: str, required: str, measured: str, holds: bool | None = None) -> None:
        self.rows.append(Row(what, required, measured, holds))
        print(_line(self.rows[-1]), flush=True)

    def note(self, text: str) -> None:
        print(f"  {text}", flush=True)

    @property
    def ok(self) -> bool:
        return all(r.holds is not False for r in self.rows)


def _line(row: Row) -> str:
    mark = {True: "ok  ", False: "MISS", None: "    "}[row.holds]
    return f"{mark} {row.what}: {row.measured}" + (f"   (required {row.required})" if row.required else "")


def machine() -> dict[str, Any]:
    """What it was measured on."""
    meminfo = Path("/proc/meminfo").read_text().split()
    cpu = next((x.partition(":")[2].strip() for x in Path("/proc/cpuinfo").read_text().splitlines()
                if x.startswith("model name")), "")  # fmt: skip
    return {
        "cores": len(os.sched_getaffinity(0)), "cpu": cpu, "memory_mb": int(meminfo[1]) // 1024,
        "load_before": round(os.getloadavg()[0], 2), "python": platform.python_version(),
        "system": platform.release(),
    }  # fmt: skip


def percentile(values: list[float], share: float) -> float:
    """The `share`th percentile, nan of nothing."""
    return float(np.percentile(values, share)) if values else float("nan")


def spread(values: list[float]) -> str:
    """`p50 0.61 s, p95 0.83 s (n 40)`."""
    if not values:
        return "nothing measured"
    return f"p50 {percentile(values, 50):.3f} s, p95 {percentile(values, 95):.3f} s (n {len(values)})"


def data_folder(given: str) -> Path | None:
    """The folder of evaluation speech: --data, else IVR_DATA; None when neither names one."""
    named = given or os.environ.get("IVR_DATA", "")
    return Path(named) if named and Path(named).is_dir() else None


def run(name: str, doc: str | None, measure: Callable[[Report, argparse.Namespace], Awaitable[None]],
        argv: list[str], extend: Callable[[argparse.ArgumentParser], None] | None = None) -> int:  # fmt: skip
    """Parse, measure, print, write; 0 when every requirement holds."""
    parser = argparse.ArgumentParser(prog=f"ivr bench {name}", description=doc)
    parser.add_argument("--data", default="", help="folder of evaluation speech (else IVR_DATA)")
    parser.add_argument("--quick", action="store_true", help="the short form that the tests run")
    parser.add_argument("--json", default="", metavar="OUT", help="write rows and details there")
    parser.add_argument("--seed", type=int, default=SEED)
    if extend is not None:
        extend(parser)
    options = parser.parse_args(argv)
    report = Report(name, options.seed, options.quick)
    facts = machine()
    print(f"{name}: {facts['cores']} cores ({facts['cpu']}), {facts['memory_mb']} MB, load {facts['load_before']}, "
          f"seed {options.seed}{', quick' if options.quick else ''}", flush=True)  # fmt: skip
    begun = time.monotonic()
    try:
        asyncio.run(measure(report, options))
    except IvrError as error:
        print(f"ivr bench {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    took = round(time.monotonic() - begun, 1)
    print(f"{name}: {'every requirement holds' if report.ok else 'a requirement is missed'}, {took:g} s", flush=True)
    if options.json:
        body = {"bench": name, "machine": facts, "seconds": took, "seed": options.seed, "quick": options.quick,
                "rows": [asdict(r) for r in report.rows], "details": report.details}  # fmt: skip
        Path(options.json).write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0 if report.ok else 1
