"""Which addresses a back end may have: public ones, and those in networks that its configuration lists.

Pure. Knows nothing of names, sockets or HTTP. The table follows IANA's IPv4 and IPv6 special-purpose address
registries (RFC 6890) and is written out because `ipaddress` judges differently from one Python release to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SPECIAL = tuple(
    (ip_network(network), kind)
    for kind, networks in {
        "loopback": "127.0.0.0/8 ::1/128",
        "link-local": "169.254.0.0/16 fe80::/10",
        "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        "inside a carrier's NAT": "100.64.0.0/10",
        "unspecified": "0.0.0.0/8 ::/128",
        "multicast": "224.0.0.0/4 ff00::/8",
        "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        # Azure answers machines of its own cloud at this otherwise public address, with their credentials among others.
        "a cloud's own": "168.63.129.16/32",
        # Protocol assignments, 6to4 and its relays, Teredo, benchmarks, future use, broadcast.
        "reserved": "192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4 2001::/23 2002::/16",
    }.items()
    for network in networks.split()
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")


def why_refused(address: str, networks: Iterable[Network]) -> str:
    """What kind of address it is when nobody may be reached there ("private"), empty when it may be used.

    `networks` are the listed ones; nothing inside them is refused. An IPv4 address inside an IPv6 one (mapped, or
    behind NAT64, RFC 6052) is judged as the IPv4 address it leads to. Raises ValueError for what is no address.
    """
    real = _unwrapped(ip_address(address))
    return "" if any(real in network for network in networks) else _kind(real)


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _kind(address: Address) -> str:
    for network, kind in _SPECIAL:
        if address in network:
            return kind
    return "reserved" if address.version == 6 and address not in _GLOBAL_UNICAST else ""
