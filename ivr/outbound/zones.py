"""Whose clock a telephone number lives by: libphonenumber's time zones of its prefix. Pure."""

from __future__ import annotations

import phonenumbers
from phonenumbers import timezone

_UNKNOWN = "Etc/Unknown"


def zones_of(phone: str) -> tuple[str, ...]:
    """IANA names of every zone that an E.164 number may lie in, empty when none is known.

    A mobile number or one of a large country has several: nobody knows in which its owner is.
    """
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for zone in timezone.time_zones_for_number(number) if zone != _UNKNOWN)


def phone_fault(phone: str) -> str:
    """What is wrong with a number that a client gave, empty when it is a valid one in E.164 form."""
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return "no telephone number in E.164 form, like +8613812345678 or +442071234567"
    if not phonenumbers.is_valid_number(number):
        return "no number that the numbering plan of its country has"
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return "" if written == phone else f"not in E.164 form, which is {written}"
