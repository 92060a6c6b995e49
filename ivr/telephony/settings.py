"""What each line process is told, from the configuration. Pure but for the secrets, read from the environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ivr.config import Config, secret
from ivr.line.messages import LineSettings, Peer
from ivr.telephony.dialing import Agent

LINE_PORT_OFFSET = 10
RTP_PORTS = 100


def line_port(config: Config, index: int) -> int:
    """The SIP port of a line process: the configured one when it is alone, behind the edge ten and more above it."""
    return config.sip.port if config.lines.processes == 1 else config.sip.port + LINE_PORT_OFFSET + index


def local_host(config: Config) -> str:
    """Where processes of this host reach the SIP address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.sip.host, config.sip.host)  # noqa: S104 - a comparison


def line_settings(
    config: Config, index: int, runtime: Path, apology: dict[str, str], fallback_uri: str, agents: Sequence[Agent]
) -> LineSettings:
    """The settings of line process `index`; `runtime` is a private folder for its patch socket.

    Behind the edge it speaks UDP only, from a port that the edge knows it by; TCP ends at the edge.
    """
    behind_edge = config.lines.processes > 1
    host = local_host(config)
    peers = [
        Peer(
            name=trunk.name, host=trunk.host, port=trunk.port, transport=trunk.transport,
            register_with=trunk.register and not behind_edge, username=trunk.username,
            password=secret(trunk.password_env), from_user=trunk.from_user,
            display_name=trunk.display_name, inband_dtmf=trunk.inband_dtmf, refer_targets=trunk.refer_targets,
        )
        for trunk in config.trunk
    ]  # fmt: skip
    peers += [Peer(name=a.name, host=a.host, port=a.port, transport=a.transport) for a in agents]
    return LineSettings(
        name=f"line-{index}", sip_host=config.sip.host, sip_port=line_port(config, index),
        tcp=config.sip.tcp and not behind_edge,
        rtp_port=config.sip.rtp_port + index * RTP_PORTS, rtp_ports=RTP_PORTS,
        public_address=config.sip.public_address, user_agent=config.sip.user_agent,
        allow=(f"{host}/32" if ":" not in host else f"{host}/128",) if behind_edge else config.sip.allow,
        edge=f"{host}:{config.sip.port}" if behind_edge else "", codecs=config.sip.codecs, peers=tuple(peers),
        rtp_timeout_ms=config.sip.rtp_timeout_s * 1000, session_expires_s=config.sip.session_expires_s,
        vad=config.hearing.vad, vad_aggressiveness=config.hearing.vad_aggressiveness,
        vad_threshold=config.hearing.vad_threshold, apology=apology, fallback_uri=fallback_uri,
        patch_path=str(runtime / f"line-{index}.sock"), log_level=config.log.level,
    )  # fmt: skip


def secret_names(config: Config) -> frozenset[str]:
    """Names of environment variables that hold secrets, for keeping them from children."""
    return frozenset(filter(None, (config.http.token_env, *(t.password_env for t in config.trunk))))
