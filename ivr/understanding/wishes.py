"""The clauses of what a caller said: what they take back is left out, and what may be several wishes is cut apart.

"I don't want to block it, I want a new one" and 不是挂失，是查余额 leave the second half; "my card is lost and I want
to know my balance" has two parts. Only wishes are taken back this way: "I can't find my card" denies nothing that the
caller asks for. Pure; any thread.
"""

from __future__ import annotations

import re

MAX_PARTS = 4
MAX_CHARACTERS = 500
_LEAST = {"zh": 3}
_LEAST_WORDS = 2
# What a part must at least have to be a wish of its own: characters of Mandarin, words of other languages.

_CUT_EN = re.compile(
    r"[.;?!,]+\s+(?:and |but |also |then |or rather |rather )*"
    r"|\s(?:and also|and then|and|but rather|but|also|then|plus)\s",
    re.IGNORECASE,
)
_CUT_ZH = re.compile(
    "[。；？！，、,;?!\\s]+(?:还有|另外|然后|顺便|而是|但是|并且|而且|再|是)?|还有|另外|然后|顺便|并且|而且|同时|而是|但是"
    "|再(?=帮|查|给|问|把)|(?<=.{3})[还也](?=要|想)|(?<=.{3})(?=我[要想]|是[要想查问])"
)
_TAKEN_BACK_EN = re.compile(
    r"^(?:no |well |actually |so )?(?:i (?:do not|don't|did not|didn't|no longer) (?:want|need|mean|wish|ask)\b"
    r"|(?:it's |it is |that's |this is |i'm |i am )?not (?:about|for|asking|calling about|trying|a|an|the|my)\b"
    r"|(?:forget|never mind) (?:about )?(?:the|my)\b)",
    re.IGNORECASE,
)
_TAKEN_BACK_ZH = re.compile(
    "^我?(?:说的|问的)?(?:并)?(?:不是(?!都|说好)|不要|不想|不用|没有?要|没想)(?!.*(?:怎么办|吗|了$))"
)

# Where another wish begins, and not only another clause of the story.
_ALSO_EN = re.compile(
    r"[,.;?!]*\s(?:and also|and then|and|also|then|plus)\s+"
    r"(?=(?:also |then )?(?:i(?:'d| would| want| need)|can|could|please|tell|check|what(?:'s| is)|how|where|when"
    r"|to (?:know|ask|check|report|talk|speak|find|open|pay))\b)",
    re.IGNORECASE,
)
_ALSO_ZH = re.compile(
    "[。；，、,;\\s]*(?:还有|另外|然后|顺便|并且|而且|同时|再(?=帮|查|给|问|把)|(?<=.{3})[还也](?=要|想|得))"
)


def clauses(text: str, language: str) -> list[str]:
    """`text` cut where one wish may end and another begin; short pieces stay with the clause before them."""
    cut, joint = (_CUT_ZH, "，") if language == "zh" else (_CUT_EN, ", ")
    found: list[str] = []
    for piece in filter(None, (p.strip() for p in cut.split(text))):
        short = len(piece) < _LEAST["zh"] if language == "zh" else len(piece.split()) < _LEAST_WORDS
        if found and (short or len(found) == MAX_PARTS):
            found[-1] += joint + piece
        else:
            found.append(piece)
    return found


def wanted(text: str, language: str) -> str:
    """`text` without the wishes that it takes back itself; all of it when nothing else would be left."""
    parts = clauses(text, language)
    taken_back = _TAKEN_BACK_ZH if language == "zh" else _TAKEN_BACK_EN
    kept = [part for part in parts if not taken_back.match(part)]
    return (("，" if language == "zh" else ", ").join(kept)) if kept and len(kept) < len(parts) else text


def parts(text: str, language: str) -> list[str]:
    """`text` cut where another wish is joined to the first by a word that says so; one part when there is none."""
    cut = _ALSO_ZH if language == "zh" else _ALSO_EN
    least = _LEAST["zh"] if language == "zh" else 2 * _LEAST_WORDS
    found = [piece.strip(" ,，。.") for piece in cut.split(text[:MAX_CHARACTERS])]
    return [piece for piece in found if len(piece) >= least][:MAX_PARTS]
