"""Which addresses may be reached: nothing special, unless it is listed, however it is written."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.backend.addresses import why_refused

# What IANA's special-purpose registries do not call globally reachable, and multicast.
SPECIAL = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "200::/7",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "4000::/2", "5f00::/16", "8000::/1", "fc00::/7",
    "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
NETWORKS = st.sampled_from([ip_network(network) for network in SPECIAL])


@st.composite
def special_addresses(draw):
    network = draw(NETWORKS)
    return network[draw(st.integers(0, network.num_addresses - 1))]


@given(special_addresses())
def test_no_special_address_may_be_reached(address):
    assert why_refused(str(address), ())


@given(special_addresses())
def test_a_listed_network_opens_its_addresses(address):
    assert why_refused(str(address), (ip_network(address),)) == ""


@given(special_addresses(), NETWORKS)
def test_a_listed_network_opens_no_other(address, listed):
    assert bool(why_refused(str(address), (listed,))) == (address not in listed)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_ipv6_is_judged_as_what_it_is(address):
    judged = why_refused(str(address), ())
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        assert why_refused(str(IPv6Address(int(IPv6Address(prefix)) + int(address))), ()) == judged


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_let_pass(address):
    real = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
    if not real.is_global or real.is_multicast or real.is_loopback or real.is_link_local:
        in_nat64 = address in ip_network("64:ff9b::/96")
        assert why_refused(str(address), ()) or in_nat64


@given(st.ip_addresses(v=4), st.integers(8, 32))
def test_a_list_of_public_networks_takes_nothing_away(address, bits):
    listed = ip_network((int(address), bits), strict=False)
    other = IPv4Address(int(address) ^ (1 << 31))
    assert why_refused(str(other), (listed,)) == why_refused(str(other), ())


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "114.114.114.114", "2606:4700::1111", "2400:3200::1"])
def test_public_addresses_may_be_reached(address):
    assert why_refused(address, ()) == ""


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::a00:1", "private"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("fd00:ec2::254", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.100.100.200", "inside a carrier's NAT"),
        ("168.63.129.16", "a cloud's own"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("2002:7f00:1::", "reserved"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"),
        ("::127.0.0.1", "reserved"),
    ],
)
def test_the_kind_is_told(address, kind):
    assert why_refused(address, ()) == kind


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "017.0.0.1", "1.2.3.4/32"])
def test_what_is_no_address_is_not_judged(text):
    with pytest.raises(ValueError, match="does not appear to be"):
        why_refused(text, ())


def test_both_families_may_be_listed_together():
    listed = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert [why_refused(str(ip_address(a)), listed) for a in ("10.9.8.7", "fd00::7", "::ffff:10.0.0.1")] == ["", "", ""]
    assert why_refused("192.168.0.1", listed) == "private"
