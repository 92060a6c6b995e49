"""`ivr check`: everything that would keep the server from serving, found at once, and what will serve.

Looks at the configuration, plans, models, prompts, programs, ports and the database's address. Loads no model, opens
no database, dials nobody. Runs in the foreground of a command.
"""

from __future__ import annotations

import argparse
import ctypes.util
import http.client
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from ivr import config_doc
from ivr.backend import webhooks
from ivr.backend.addresses import why_refused
from ivr.backend.messages import path_fault
from ivr.config import Config, load, secret
from ivr.dialog.plan import NAMED, Lookup, Notify, Plans, Transfer
from ivr.dialog.plan_file import load_all
from ivr.dialog.shapes import did_you_mean
from ivr.errors import InvalidInput, IvrError, Problem, Unavailable
from ivr.intents.shelf import Shelf
from ivr.speech import engines, models, prompts, spoken
from ivr.speech.tts import piper_model
from ivr.store import database
from ivr.telephony.dialing import DialPolicy, Refused, parse_agent
from ivr.telephony.ports import is_free
from ivr.telephony.settings import line_port
from ivr.toml_places import Place, line_of
from ivr.understanding.outside import LEAST, SAID, to_learn
from ivr.understanding.training import version_of

LEGS_A_LINE = 4


class Check:
    """One look at everything a configuration needs. `problems` keep it from serving, `notes` are worth knowing."""

    def __init__(self, file: str, deep: bool = False) -> None:
        """`deep` compares every model file with its checksum, not only with its size."""
        self.file = file
        self.deep = deep
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.config: Config | None = None
        self.plans = Plans({}, ())

    def run(self) -> None:
        """Find everything. With a broken configuration the plans and recordings beside it are still looked at."""
        try:
            config = self.config = load(self.file)
        except InvalidInput as invalid:
            self.problems += invalid.problems
            config = Config(root=str(Path(self.file).resolve().parent))
            if not Path(self.file).is_file():
                return
        self.plans = load_all(config.path(config.paths.dialplans))
        self.problems += self.plans.problems
        self.notes += [str(replace(note, file=_as_seen_from_here(note.file))) for note in self.plans.notes]
        self.problems += dict.fromkeys(_values(self.plans))
        self.problems += prompts.check(config)
        if self.config is None:
            return
        for part in (
            self._numbers, self._agents, self._backends, self._recognisers, self._voices, self._database, self._ports
        ):  # fmt: skip
            self.problems += part(config)
        self.problems += dict.fromkeys(_backends(config, self.plans))
        self.notes += _transfers_to_nowhere(config, self.plans)
        self.notes += _secrets_of_backends(config)
        self.notes += _outbound(config)
        self.notes += _not_learnt(config, self.plans)
        if not secret(config.http.token_env):
            self.notes.append(
                f"{config.http.token_env} is not set: the HTTP API refuses everything but health"
                f" (export {config.http.token_env}=...)"
            )

    def _fault(self, place: Place, message: str, mend: str = "") -> Problem:
        """A problem with a key of the configuration, at its line."""
        line = line_of(Path(self.file).read_text("utf-8"), place)
        return Problem(self.file, message, line, field=".".join(str(part) for part in place), mend=mend)

    def _numbers(self, config: Config) -> Iterator[Problem]:
        faulty = {Path(problem.file).name.split(".")[0] for problem in self.plans.problems}
        for index, number in enumerate(config.number):
            plan = self.plans.by_name.get(number.plan)
            if plan is None and number.plan not in faulty:
                known = ", ".join(sorted(self.plans.by_name)) or "none"
                mend = f"there are: {known}; a plan is the file {config.paths.dialplans}/{number.plan}.yaml"
                yield self._fault(("number", index, "plan"), f"there is no plan `{number.plan}`", mend)
            elif plan is not None and number.language not in plan.languages:
                message = f"plan `{number.plan}` does not speak `{number.language}`"
                yield self._fault(("number", index, "language"), message, "it speaks " + ", ".join(plan.languages))

    def _agents(self, config: Config) -> Iterator[Problem]:
        for index, agent in enumerate(config.agent):
            try:
                parse_agent(agent.uri)
            except ValueError as error:
                yield self._fault(("agent", index, "uri"), str(error), "like sip:anna@192.0.2.7")

    def _backends(self, config: Config) -> Iterator[Problem]:
        """Addresses written into a URL, and the form of webhook secrets; names are judged when they are resolved."""
        for index, backend in enumerate(config.backend):
            host = urlsplit(backend.url).hostname
            try:
                kind = why_refused(host, map(ip_network, backend.networks))
            except ValueError:
                kind = ""
            if kind:
                mend = f'networks = ["{ip_network(host)}"] when that is meant'
                yield self._fault(("backend", index, "url"), f"{host} is {kind}, not public", mend)
            given = secret(backend.webhook_secret_env).strip()
            if given and (fault := webhooks.secret_fault(given)):
                mend = f'export {backend.webhook_secret_env}="whsec_$(openssl rand -base64 32)"'
                yield self._fault(("backend", index, "webhook_secret_env"), fault, mend)

    def _recognisers(self, config: Config) -> Iterator[Problem]:
        folder = config.path(config.paths.models)
        try:
            manifest = {model.name: model for model in models.load_manifest(folder)}
        except InvalidInput:
            manifest = {model.name: model for model in models.load_manifest()}
        for language in config.languages:
            try:
                chosen = engines.choose(config, language)
            except Unavailable as error:
                yield self._fault(("speech", language), str(error))
                continue
            for _, name in chosen[:1]:
                if name not in manifest:
                    self.notes.append(f"model {name} is not in the manifest and cannot be verified")
                    continue
                for fault in models.faults(manifest[name], folder, self.deep):
                    message, mend = f"model {name}: {fault}", f"ivr models pull {name}"
                    yield self._fault(("speech", language, "recognizer"), message, mend)

    def _voices(self, config: Config) -> Iterator[Problem]:
        if ctypes.util.find_library("espeak-ng") is None:
            yield self._fault(("speech",), "espeak-ng is not installed", "apt-get install espeak-ng libespeak-ng1")
        for language in config.languages:
            if config.speech_for(language).voice != "piper":
                continue
            path = piper_model(config, language)
            if path is None or not path.is_file():
                message = f"no Piper voice for `{language}`" + (f" at {path}" if path else "")
                mend = 'ivr models list shows the voices; or voice = "pyttsx3"'
                yield self._fault(("speech", language, "voice"), message, mend)

    def _database(self, config: Config) -> Iterator[Problem]:
        try:
            url = database.resolve(config.store.url, Path(config.root))
        except InvalidInput as invalid:
            for problem in invalid.problems:
                yield self._fault(("store", "url"), problem.message, problem.mend)
            return
        folders = [("store", "recordings", config.path(config.store.recordings))] if config.store.recordings else []
        if url.get_backend_name() == "sqlite":
            folders.append(("store", "url", Path(url.database).parent))
        folders.append(("synthesis", "cache", config.path(config.synthesis.cache)))
        for section, key, folder in folders:
            if (reason := _unwritable(folder)) is not None:
                yield self._fault((section, key), reason, "give another folder, or its owner the right to write")

    def _ports(self, config: Config) -> Iterator[Problem]:
        processes = config.lines.processes
        if processes > 1 and shutil.which("kamailio", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            message = "more than one line process needs Kamailio, which is not installed"
            yield self._fault(("lines", "processes"), message, "apt-get install kamailio, or processes = 1")
        if (version := _running(config)) is not None:
            self.notes.append(
                f"a server (ivr {version}) runs on {config.http.host}:{config.http.port}: ports not tried"
            )
            return
        sip = {config.sip.port, *(line_port(config, index) for index in range(processes))}
        wanted = [(("sip", "port"), config.sip.host, port, config.sip.tcp) for port in sorted(sip)]
        for place, host, port, tcp in [*wanted, (("http", "port"), config.http.host, config.http.port, True)]:
            try:
                if not is_free(host, port, tcp):
                    yield self._fault(place, f"port {port} of {host} is in use", "stop what uses it, or choose another")
            except Unavailable as error:
                yield self._fault((place[0], "host"), str(error), "an address of this machine")


def _values(plans: Plans) -> Iterator[Problem]:
    """Typed values in the plans' prompts that are not of their kind and would be said as free text."""
    for plan in plans.by_name.values():
        files = list(dict.fromkeys(step.at.file for step in plan.steps.values() if step.at.file))
        files += [beside for file in files if Path(beside := file.removesuffix(".yaml") + ".knowledge.yaml").is_file()]
        for fault in dict.fromkeys(fault for _, text in plan.prompts() for fault in spoken.faults(text)):
            value, _, message = fault.partition("}: ")
            file, line = next((place for file in files if (place := _place(file, f"{value}}}"))), (plan.file, 0))
            yield Problem(file, message, line, field=f"{value}}}", mend="docs/speaking.md lists the kinds")


def _place(file: str, text: str) -> tuple[str, int] | None:
    """The first line of `file` that holds `text`."""
    lines = Path(file).read_text("utf-8-sig").splitlines()
    return next(((file, number) for number, line in enumerate(lines, 1) if text in line), None)


def _backends(config: Config, plans: Plans) -> Iterator[Problem]:
    """Steps of the plans that numbers name whose back end is not configured, or whose path would never be sent."""
    known = [backend.name for backend in config.backend]
    for name in sorted({number.plan for number in config.number} & set(plans.by_name)):
        for step in plans.by_name[name].steps.values():
            if isinstance(step, Lookup | Notify) and step.backend not in known:
                message = f"there is no back end `{step.backend}`"
                mend = did_you_mean(step.backend, known, "add a [[backend]] of that name to the configuration")
                yield Problem(step.at.file, message, step.at.line, field=f"{step.name}.backend", mend=mend)
            if isinstance(step, Lookup | Notify) and (fault := path_fault(NAMED.sub("x", step.path))):
                yield Problem(step.at.file, fault, step.at.line, field=f"{step.name}.path", mend="like /cards/{card}")


def _transfers_to_nowhere(config: Config, plans: Plans) -> Iterator[str]:
    """Transfers of the plans that numbers name whose target could not be dialled."""
    agents = {agent.name: agent.uri for agent in config.agent}
    try:
        policy = DialPolicy(config.trunk, agents.values())
    except ValueError:
        return
    for name in sorted({number.plan for number in config.number} & set(plans.by_name)):
        for step in plans.by_name[name].steps.values():
            for target in step.targets if isinstance(step, Transfer) else ():
                asked = policy.ask(agents.get(target, target), None, 0.0)
                if isinstance(asked, Refused):
                    why = asked.words if re.search(r"[0-9:]", target) else "no [[agent]] has that name"
                    yield f"plan {name}, step {step.name}: `{target}` cannot be dialled: {why}"


def _secrets_of_backends(config: Config) -> Iterator[str]:
    """Secrets that are named and not there, and tokens that anybody on the way could read."""
    for backend in config.backend:
        if backend.token_env and not secret(backend.token_env):
            yield f"backend {backend.name}: {backend.token_env} is not set, so nothing is sent there"
        if backend.webhook_secret_env and not secret(backend.webhook_secret_env):
            yield f"backend {backend.name}: {backend.webhook_secret_env} is not set, so it is not notified"
        if backend.token_env and backend.url.startswith("http:") and not backend.networks:
            yield f"backend {backend.name}: its token crosses the network in clear text; use https"


def _outbound(config: Config) -> Iterator[str]:
    """What outbound calls lack."""
    outbound = config.outbound
    if not outbound.policies:
        return
    most = config.lines.processes * LEGS_A_LINE - config.lines.reserve_legs - outbound.inbound_legs
    if most < 1:
        yield "outbound calls: no line is left for them (lines.processes, lines.reserve_legs, outbound.inbound_legs)"
    if not secret(outbound.proof_key_env):
        name = outbound.proof_key_env
        yield f"{name} is not set: no verification is taken (export {name}=$(openssl rand -base64 32))"


def _not_learnt(config: Config, plans: Plans) -> Iterator[str]:
    """Examples of the plans that numbers name of which there is no model yet."""
    shelf = Shelf(config.path(config.store.intents), config.path(config.paths.models))
    for name in sorted({number.plan for number in config.number} & set(plans.by_name)):
        plan = plans.by_name[name]
        wanted = to_learn(plan.knowledge.examples)
        for language in plan.languages:
            count = sum(e.language == language for e in plan.knowledge.examples)
            if language in wanted and not shelf.has(version_of(wanted[language], language)):
                yield (
                    f"plan {name}: its {count} examples in {language} are not learnt yet; the server does that in the"
                    " background, and until then their words answer"
                )
            elif language in SAID and 0 < count < LEAST:
                yield (
                    f"plan {name}: {count} examples in {language} are too few to learn from, so their words answer;"
                    f" from {LEAST} on, ten or more an intent, callers are understood in other words, too"
                )


def _unwritable(folder: Path) -> str | None:
    """Why nothing can be written to a folder that may not exist yet; None when it can."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not existing.is_dir():
        return f"{existing} is not a folder"
    return None if _may_write(existing) else f"{existing} cannot be written to"


def _may_write(folder: Path) -> bool:
    trial = folder / ".ivr-check"
    try:
        trial.touch()
        trial.unlink()
    except OSError:
        return False
    return True


def _running(config: Config) -> str | None:
    """The version of a server of ours that answers at the configured HTTP address, None when there is none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.http.host, config.http.host)  # noqa: S104 - a comparison
    connection = http.client.HTTPConnection(host, config.http.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return json.loads(connection.getresponse().read(1 << 20)).get("version")
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def summary(config: Config, plans: Plans) -> Iterator[str]:
    """What will serve, one line a number, then the addresses."""
    for number in config.number:
        plan, speech = plans.by_name[number.plan], config.speech_for(number.language)
        engine, model = engines.choose(config, number.language)[0]
        yield (
            f"  {number.pattern:<12} plan {plan.name} ({plan.version}) in {number.language}:"
            f" hears with {engine} {model}, speaks with {speech.voice}"
        )
    sip, http, store, count = config.sip, config.http, config.store, config.lines.processes
    transports = "UDP and TCP" if sip.tcp else "UDP"
    behind = "1 line process" if count == 1 else f"{count} line processes behind Kamailio"
    yield f"  SIP          {sip.host}:{sip.port} {transports}, {behind}, from {', '.join(sip.allow)}"
    for trunk in config.trunk:
        how = "by registration" if trunk.register else "by address"
        dials = ", ".join(trunk.prefixes) or "nothing"
        yield f"  trunk        {trunk.name}: {trunk.host}:{trunk.port} {how}; dials {dials}"
    for backend in config.backend:
        yield f"  backend      {backend.name}: {backend.url}"
    yield f"  HTTP         {http.host}:{http.port}"
    kept = f"{store.retention_days} days" if store.retention_days else "for ever"
    yield f"  records      {store.url.rpartition('@')[2]}, kept {kept}"


def _as_seen_from_here(file: str) -> str:
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ivr check", description="Find everything that would keep it from serving.")
    parser.add_argument("--config", default="config.toml", metavar="FILE", help="default: config.toml")
    parser.add_argument("--deep", action="store_true", help="compare models with their checksums")
    parser.add_argument("--config-reference", action="store_true", help="print docs/configuration.md and end")
    return parser


def main(argv: list[str] | None = None, out: TextIO | None = None) -> int:
    """`ivr check`. Returns 0 when all is good, 1 when there are problems, 2 for wrong usage."""
    out = out or sys.stdout
    arguments = _parser().parse_args(argv)
    if arguments.config_reference:
        out.write(config_doc.reference())
        return 0
    check = Check(arguments.config, arguments.deep)
    try:
        check.run()
    except IvrError as error:
        check.problems.append(Problem(arguments.config, str(error)))
    for problem in check.problems:
        print(replace(problem, file=_as_seen_from_here(problem.file)), file=out)
    for note in check.notes:
        print(f"note: {note}", file=out)
    if check.problems:
        count = len(check.problems)
        print(f"{count} problem{'s' if count > 1 else ''}", file=out)
        return 1
    print(f"all good: {arguments.config}", file=out)
    for line in summary(check.config, check.plans):
        print(line, file=out)
    return 0
