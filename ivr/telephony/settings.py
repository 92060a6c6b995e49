"""What each line process is told, and the addresses and ports of lines and edge, from the configuration.

Reads secrets from the environment and the addresses of this host's interfaces; otherwise pure.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from ivr.config import RTP_PORTS, Config, secret
from ivr.line.settings import LineSettings, Peer
from ivr.telephony.dialing import Agent

ANY_HOST = "0.0.0.0"  # noqa: S104 - what a person writes for every interface
LINE_PORT_OFFSET = 10
_SIOCGIFADDR = 0x8915


def line_port(config: Config, index: int) -> int:
    """The SIP port of a line process: the configured one when it is alone, behind the edge ten and more above it."""
    return config.sip.port if config.lines.processes == 1 else config.sip.port + LINE_PORT_OFFSET + index


def inside_port(config: Config) -> int:
    """The UDP port at which the edge hears its line processes."""
    return config.sip.port + LINE_PORT_OFFSET - 1


def inside_host(config: Config) -> str:
    """The address that edge and lines use among themselves."""
    return "127.0.0.1" if config.sip.host == ANY_HOST else config.sip.host


def beat_host(config: Config) -> str:
    """Where lines are asked whether they live; empty when the allow-list would count the question as a stranger's."""
    host = inside_host(config)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    allowed = any(address in ipaddress.ip_network(network) for network in config.sip.allow)
    return host if allowed or config.lines.processes > 1 else ""


def listening_hosts(config: Config) -> tuple[str, ...]:
    """The addresses that the edge listens at: every interface's for the wildcard. It must name them to its peers."""
    if config.sip.host != ANY_HOST:
        return (config.sip.host,)
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append(socket.inet_ntoa(answer[20:24]))
    return tuple(sorted(set(found), key=lambda host: host.startswith("127.")))


def line_settings(
    config: Config, index: int, runtime: Path, apology: dict[str, str], fallback_uri: str, agents: Sequence[Agent]
) -> LineSettings:
    """The settings of line process `index`; `runtime` is a private folder for its patch socket.

    Behind the edge it speaks UDP only, from a port that the edge knows it by; TCP ends at the edge.
    """
    behind_edge = config.lines.processes > 1
    host = inside_host(config)
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
        edge=f"{host}:{inside_port(config)}" if behind_edge else "", codecs=config.sip.codecs, peers=tuple(peers),
        rtp_timeout_ms=config.sip.rtp_timeout_s * 1000, session_expires_s=config.sip.session_expires_s,
        vad=config.hearing.vad, vad_aggressiveness=config.hearing.vad_aggressiveness,
        vad_threshold=config.hearing.vad_threshold, apology=apology, fallback_uri=fallback_uri,
        patch_path=str(runtime / f"line-{index}.sock"), log_level=config.log.level,
    )  # fmt: skip


def secret_names(config: Config) -> frozenset[str]:
    """Names of environment variables that hold secrets, for keeping them from children."""
    backends = (name for backend in config.backend for name in (backend.token_env, backend.webhook_secret_env))
    return frozenset(filter(None, (config.http.token_env, *(t.password_env for t in config.trunk), *backends)))
