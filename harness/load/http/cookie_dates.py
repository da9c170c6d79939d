"""The moment that a cookie's ``Expires`` means: the algorithm of RFC 6265bis, section 5.1.1, as Chromium has it.

It takes fields by their form, in any order, and ignores time zones and weekdays: the digits are UTC, whatever offset
follows them. A field is digits alone, at most five, so no date can be too large to compute with.
"""

import re
from calendar import timegm
from datetime import MAXYEAR, UTC, datetime

_TOKEN = re.compile(rb"[^\t !\"#$%&'()*+,\-./;<=>?@\[\\\]^_`{|}~]+")
_TIME = re.compile(rb"(\d{1,5}):(\d{1,5}):(\d{1,5})")
_NAMES = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_OFFSET = re.compile(rb" (?:GMT|UTC)?([+-])(\d\d):?(\d\d)$")
_MAX_YEAR_BYTES = 5


def parse_cookie_date(text: bytes) -> int | None:
    """Seconds since 1970 of a date; None if it lacks a field or is no date of the calendar."""
    day = month = year = time = None
    for token in _TOKEN.findall(text):
        if not token[:1].isdigit():
            month = month or _MONTHS.get(token[:3].lower())
        elif b":" in token:
            time = time or _TIME.fullmatch(token)
        elif not token.isdigit():
            continue
        elif day is None and len(token) <= 2:
            day = int(token)
        elif year is None and len(token) <= _MAX_YEAR_BYTES:
            year = int(token)
    if day is None or month is None or year is None or time is None:
        return None
    if year < 100:  # two digits belong to 1970 to 2069
        year += 2000 if year < 70 else 1900
    hour, minute, second = map(int, time.groups())
    try:
        moment = datetime(min(year, MAXYEAR), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return timegm(moment.timetuple())


def parse_reply_date(text: bytes) -> int | None:
    """Seconds since 1970 of the ``Date`` of a reply. Unlike in an ``Expires``, an offset from UTC counts."""
    digits, offset = parse_cookie_date(text), _OFFSET.search(text)
    if digits is None or offset is None:
        return digits
    seconds = 3600 * int(offset[2]) + 60 * int(offset[3])
    return digits + seconds if offset[1] == b"-" else digits - seconds
