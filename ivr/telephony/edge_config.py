"""The configuration of Debian's Kamailio as the edge of several line processes. Pure: typed values in, text out.

What the proxy does, in its own order: silence to sources outside the allow-list; a limit on requests a second;
malformed requests refused; requests within a dialog only to a line process or from one; new calls round robin to the
line processes, the next on 486, 503 or no reply, 503 with Retry-After when all are full; new calls of a line process
only to trunks and agents. Registers at trunks. Digest challenges to a call are answered by the line process, since only
the one who keeps the dialog may raise its CSeq (RFC 3261 section 22.2).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

RETRY_AFTER_S = 10
FIRST_REPLY_MS = 2_000
"""A line process that has not even said 100 by then hangs; the next one is tried."""
SILENT_PEER_MS = 8_000
"""A trunk or caller that does not answer at all; sooner than the 32 s of RFC 3261's timers B and F."""
CALL_LIFETIME_S = 14_400
IDLE_TCP_S = 30
"""Connections on which no call was begun; those of calls live as long as a call may."""
REGISTER_RETRY_S = 5
CHILDREN = 2
SHARED_MB = 32
PRIVATE_MB = 4


@dataclass(frozen=True)
class Target:
    """Where line processes may place calls: a trunk or an agent."""

    host: str
    port: int


@dataclass(frozen=True)
class EdgeSettings:
    """What the proxy needs to know.

    Attributes:
        hosts, port, tcp: where callers reach us.
        inside, inside_port: where line processes reach the proxy, by UDP. A socket of their own keeps a public
            address that only NAT knows out of their route sets, and tells them from callers.
        public_address: what a NAT shows of us, empty without one.
        allow: networks that may ring, in CIDR form.
        flood_per_second: requests that start something, from one address.
        line_ports: SIP port of every line process, at `inside`.
        targets: where lines may place calls.
        registers: whether any trunk wants registration.
        runtime: a private folder for sockets and tables.
        user_agent: for the replies and registrations of the proxy itself.
    """

    hosts: tuple[str, ...]
    port: int
    tcp: bool
    inside: str
    inside_port: int
    public_address: str
    allow: tuple[str, ...]
    flood_per_second: int
    line_ports: tuple[int, ...]
    targets: tuple[Target, ...]
    registers: bool
    runtime: Path
    user_agent: str = "ivr"

    @property
    def rpc_path(self) -> Path:
        return self.runtime / "rpc.sock"

    @property
    def config_path(self) -> Path:
        return self.runtime / "kamailio.cfg"

    @property
    def dispatcher_path(self) -> Path:
        return self.runtime / "dispatcher.list"

    def line_uri(self, index: int) -> str:
        """How the dispatcher names line process `index`."""
        return f"sip:{_bracketed(self.inside)}:{self.line_ports[index]}"


def files(settings: EdgeSettings) -> dict[Path, str]:
    """Every file the proxy reads, with its content."""
    tables = settings.runtime / "tables"
    lines = "".join(f"1 {settings.line_uri(i)} 0 0\n" for i in range(len(settings.line_ports)))
    return {
        settings.config_path: kamailio_config(settings),
        settings.dispatcher_path: lines,
        tables / "version": "table_name(string) table_version(int)\nuacreg:5\n",
        tables / "uacreg": _UACREG_HEADER,
    }


def kamailio_config(settings: EdgeSettings) -> str:
    """The whole of kamailio.cfg. Raises ValueError for a value that has no place in one."""
    return "\n".join((
        _core(settings), _modules(settings), _start(settings), _routes(settings),
    ))  # fmt: skip


def _routes(settings: EdgeSettings) -> str:
    outside = f'$fs = "udp:{_bracketed(settings.hosts[0])}:{settings.port}";' if len(settings.hosts) == 1 else ""
    values = {
        "ALLOWED": _allowed(settings),
        "INSIDE_PORT": str(settings.inside_port),
        "SEND_INSIDE;": f'$fs = "udp:{_bracketed(settings.inside)}:{settings.inside_port}";',
        "SEND_OUTSIDE;": outside,
    }
    text = "\n".join((_REQUEST, _WITHIN, _FROM_LINE, _TO_LINES, _REPLIES))
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def quoted(text: str) -> str:
    """`text` as a string of the configuration language. Raises ValueError when it has control characters."""
    if not text.isprintable():
        raise ValueError(f"{text!r} has control characters")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", text):
        raise ValueError(f"{text!r} is no host")
    return text


def _bracketed(host: str) -> str:
    return f"[{_host(host)}]" if ":" in host else _host(host)


def _allowed(settings: EdgeSettings) -> str:
    return quoted(",".join(str(ipaddress.ip_network(network)) for network in settings.allow))


def _listen(protocol: Literal["udp", "tcp"], settings: EdgeSettings) -> str:
    advertise = f" advertise {_bracketed(settings.public_address)}:{settings.port}" if settings.public_address else ""
    return "\n".join(f"listen={protocol}:{_bracketed(host)}:{settings.port}{advertise}" for host in settings.hosts)


def _core(settings: EdgeSettings) -> str:
    agent = quoted(settings.user_agent)[1:-1]
    tcp = (
        f"tcp_children=2\ntcp_max_connections=256\ntcp_connection_lifetime={IDLE_TCP_S}\n"
        "tcp_accept_no_cl=no\ntcp_rd_buf_size=65535\ntcp_keepidle=60\ntcp_crlf_ping=yes\n" + _listen("tcp", settings)
        if settings.tcp
        else "disable_tcp=yes"
    )
    return f"""#!KAMAILIO
debug=-1
memdbg=5
memlog=5
log_stderror=yes
children={CHILDREN}
auto_aliases=no
dns_try_ipv6=no
dns_srv_lb=no
sip_warning=0
server_header="Server: {agent}"
user_agent_header="User-Agent: {agent}"
mhomed={int(len(settings.hosts) > 1)}
{_listen("udp", settings)}
listen=udp:{_bracketed(settings.inside)}:{settings.inside_port}
{tcp}"""


def _modules(settings: EdgeSettings) -> str:
    names = ["tm", "tmx", "sl", "pv", "rr", "maxfwd", "textops", "siputils", "sanity", "pike", "htable", "dispatcher"]
    names += ["ipops", "nathelper", "jsonrpcs", "corex", "kex", "xlog", "tcpops"]
    names += ["db_text", "uac"] if settings.registers else []
    params = f"""modparam("tm", "fr_timer", {SILENT_PEER_MS})
modparam("tm", "fr_inv_timer", 180000)
modparam("tm", "failure_reply_mode", 3)
modparam("tm", "auto_inv_100_reason", "Trying")
modparam("rr", "enable_full_lr", 1)
modparam("rr", "append_fromtag", 1)
modparam("pike", "sampling_time_unit", 1)
modparam("pike", "reqs_density_per_unit", {settings.flood_per_second})
modparam("pike", "remove_latency", 4)
modparam("pike", "pike_log_level", 1)
modparam("htable", "htable", "peers=>size=6;")
modparam("htable", "htable", "lines=>size=6;")
modparam("htable", "htable", "targets=>size=6;")
modparam("htable", "htable", "calls=>size=10;autoexpire={CALL_LIFETIME_S};")
modparam("dispatcher", "list_file", {quoted(str(settings.dispatcher_path))})
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "ds_ping_interval", 0)
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "pretty_format", 0)
modparam("jsonrpcs", "dgram_socket", {quoted(str(settings.rpc_path))})
modparam("jsonrpcs", "dgram_workers", 1)"""
    registration = (
        f"""
modparam("uac", "reg_db_url", {quoted("text://" + str(settings.runtime / "tables"))})
modparam("uac", "reg_contact_addr", {quoted(_contact(settings))})
modparam("uac", "reg_timer_interval", 2)
modparam("uac", "reg_retry_interval", {REGISTER_RETRY_S})
modparam("uac", "reg_keep_callid", 1)
modparam("uac", "restore_mode", "none")"""
        if settings.registers
        else ""
    )
    return "\n".join(f'loadmodule "{name}.so"' for name in names) + "\n" + params + registration


def _contact(settings: EdgeSettings) -> str:
    return f"{_bracketed(settings.public_address or settings.hosts[0])}:{settings.port}"


def _start(settings: EdgeSettings) -> str:
    lines = "".join(
        f'    $sht(lines=>{_bracketed(settings.inside)}:{port}) = 1;\n' for port in settings.line_ports
    )  # fmt: skip
    targets = "".join(
        f"    $sht(targets=>{_host(t.host).lower()}:{t.port}) = 1;\n" for t in _unique(settings.targets)
    )  # fmt: skip
    return f"event_route[htable:mod-init] {{\n{lines}{targets}}}\n"


def _unique(targets: Sequence[Target]) -> list[Target]:
    return list(dict.fromkeys(targets))


_UACREG_HEADER = (
    "id(int,auto) l_uuid(string) l_username(string) l_domain(string) r_username(string) r_domain(string) "
    "realm(string) auth_username(string) auth_password(string) auth_ha1(string) auth_proxy(string) expires(int) "
    "flags(int) reg_delay(int) contact_addr(string) socket(string)\n"
)

_REQUEST = """
request_route {
    if ($Rp == INSIDE_PORT) {
        if ($proto == "udp" && $sht(lines=>$si:$sp) != $null) route(FROM_LINE);
        exit;
    }
    if ($sht(peers=>$si) == $null) {
        if (!is_in_subnet("$si", ALLOWED)) {
            if ($proto == "tcp") tcp_close_connection();
            exit;
        }
        if (!has_totag() && !pike_check_req()) exit;
    }
    if (!mf_process_maxfwd_header("20")) {
        sl_send_reply("483", "Too Many Hops");
        exit;
    }
    if (!sanity_check("18407", "7")) exit;
    if ($(hdr(Via)[0]{s.select,0,,}) =~ ";[ \\t]*received[ \\t]*=") {
        sl_send_reply("400", "Via is marked already");
        exit;
    }
    if (is_present_hf("Replaces") || is_present_hf("Join")) {
        if (is_method("INVITE")) sl_send_reply("403", "Forbidden");
        exit;
    }
    if (has_totag()) {
        route(WITHIN);
        exit;
    }
    if (is_method("CANCEL")) {
        if (t_check_trans()) t_relay();
        exit;
    }
    if (is_method("ACK")) {
        if (t_check_trans()) t_relay();
        exit;
    }
    if (is_method("OPTIONS")) {
        append_to_reply("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY\\r\\n");
        append_to_reply("Accept: application/sdp\\r\\n");
        sl_send_reply("200", "OK");
        exit;
    }
    if (is_method("REFER")) {
        sl_send_reply("403", "Forbidden");
        exit;
    }
    if (!is_method("INVITE")) {
        append_to_reply("Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO, REFER, NOTIFY\\r\\n");
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }
    if (!($ru =~ "^sips?:")) {
        sl_send_reply("416", "Unsupported URI Scheme");
        exit;
    }
    if (t_precheck_trans()) {
        t_check_trans();
        exit;
    }
    t_check_trans();
    route(TO_LINES);
}
"""

_WITHIN = """
route[WITHIN] {
    if (is_method("REFER") && $sht(peers=>$si) == $null) {
        sl_send_reply("403", "Forbidden");
        exit;
    }
    if (!loose_route()) {
        if ($sht(calls=>$ci) != $null) {
            $du = $sht(calls=>$ci);
        } else {
            if (is_method("ACK")) {
                if (t_check_trans()) t_relay();
                exit;
            }
            sl_send_reply("481", "Call/Transaction Does Not Exist");
            exit;
        }
    }
    if ($du == $null) handle_ruri_alias();
    if ($du != $null) {
        $var(to) = $(du{uri.host}) + ":" + $(du{uri.port});
    } else {
        $var(to) = $rd + ":" + $rp;
    }
    if ($sht(lines=>$var(to)) == $null) {
        if (!is_method("ACK")) sl_send_reply("403", "Forbidden");
        exit;
    }
    if (is_method("INVITE|UPDATE|SUBSCRIBE|REFER")) add_contact_alias();
    if (is_method("BYE")) $sht(calls=>$ci) = $null;
    SEND_INSIDE;
    t_on_reply("MANAGE");
    if (!t_relay()) sl_reply_error();
}
"""

_FROM_LINE = """
route[FROM_LINE] {
    if (!mf_process_maxfwd_header("20")) {
        sl_send_reply("483", "Too Many Hops");
        exit;
    }
    if (is_method("CANCEL")) {
        if (t_check_trans()) t_relay();
        exit;
    }
    if (has_totag()) {
        if (!loose_route() && is_method("ACK")) {
            if (t_check_trans()) t_relay();
            exit;
        }
        if ($du == $null) handle_ruri_alias();
        if (is_method("INVITE|UPDATE|SUBSCRIBE|REFER")) add_contact_alias();
        if (is_method("BYE")) $sht(calls=>$ci) = $null;
        t_on_reply("MANAGE");
        if (!t_relay()) sl_reply_error();
        exit;
    }
    if (is_method("ACK")) {
        if (t_check_trans()) t_relay();
        exit;
    }
    if (!is_method("INVITE")) {
        sl_send_reply("405", "Method Not Allowed");
        exit;
    }
    loose_route();
    $var(to) = $(rd{s.tolower}) + ":" + $rp;
    if ($sht(targets=>$var(to)) == $null) {
        sl_send_reply("403", "Forbidden");
        exit;
    }
    t_check_trans();
    record_route();
    add_contact_alias();
    SEND_OUTSIDE;
    t_on_reply("MANAGE");
    if (!t_relay()) sl_reply_error();
}
"""

_TO_LINES = f"""
route[TO_LINES] {{
    if ($proto == "tcp") tcp_set_connection_lifetime("{CALL_LIFETIME_S}");
    record_route();
    add_contact_alias();
    if (!ds_select_dst("1", "4")) {{
        append_to_reply("Retry-After: {RETRY_AFTER_S}\\r\\n");
        sl_send_reply("503", "Service Unavailable");
        exit;
    }}
    t_set_fr(0, {FIRST_REPLY_MS});
    SEND_INSIDE;
    t_on_reply("ANSWERED");
    t_on_failure("NEXT");
    if (!t_relay()) sl_reply_error();
}}

failure_route[NEXT] {{
    if (t_is_canceled()) exit;
    if (!t_check_status("486|503") && !(t_branch_timeout() && !t_branch_replied())) exit;
    if (ds_next_dst()) {{
        t_set_fr(0, {FIRST_REPLY_MS});
        SEND_INSIDE;
        t_on_reply("ANSWERED");
        t_on_failure("NEXT");
        t_relay();
        exit;
    }}
    append_to_reply("Retry-After: {RETRY_AFTER_S}\\r\\n");
    t_reply("503", "Service Unavailable");
}}
"""

_REPLIES = f"""
onreply_route[ANSWERED] {{
    if (is_method("INVITE") && $rs =~ "^2") $sht(calls=>$ci) = "sip:" + $si + ":" + $sp;
    route(MANAGE);
}}

onreply_route[MANAGE] {{
    route(MANAGE);
}}

route[MANAGE] {{
    if ($proto == "tcp" && is_method("INVITE")) tcp_set_connection_lifetime("{CALL_LIFETIME_S}");
    if (is_method("INVITE|UPDATE|SUBSCRIBE|REFER") && $rs =~ "^(1[1-9]|2)") add_contact_alias();
}}
"""
