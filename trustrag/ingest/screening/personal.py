"""Personal data that proves itself: numbers with check digits, and addresses by their form.

A check digit is wrong nine times in ten for a random number, so alone it is no proof for a short one: those need their
name beside them ("BSN", "NHS number"). Names and places of people need a model: the extra `screens` brings presidio.

Sources: ISO/IEC 7812 (cards, Luhn), ISO 13616 (IBAN, mod 97-10), and the national rules named at each pattern.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity

_STANDARD = "CWE-359"
NEAR = 48
"""Characters before a number in which its name has to stand."""
MANY = 5
"""Different e-mail addresses from which a text is a list of people and worth a word."""

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_EMAIL = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,4}\b")
_HAS = re.compile(r"\d(?:[ .-]?\d){7}|[A-Z]{2}\d{2}|\d{8}|@|[A-Z]{6}\d")
_TEST_CARDS = re.compile(
    r"4111111111111111|4242424242424242|5555555555554444|4012888888881881|378282246310005|4000\d{11,12}$"
)


@dataclass(frozen=True, slots=True)
class _Number:
    """A kind of number: what it is called in a text, how it is written, and whether its check digits hold."""

    kind: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool]
    named: re.Pattern[str] | None


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def iban(text: str) -> bool:
    """ISO 13616: the check of ISO 7064 MOD 97-10."""
    turned = text[4:] + text[:4]
    return 15 <= len(text) <= 34 and int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def _weighted(digits: str, weights: tuple[int, ...], modulus: int) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False)) % modulus


def _card(digits: str) -> bool:
    prefixes = (
        "4",
        "51",
        "52",
        "53",
        "54",
        "55",
        "34",
        "37",
        "6011",
        "65",
        "35",
        "22",
        "23",
        "24",
        "25",
        "26",
        "27",
    )
    return 13 <= len(digits) <= 19 and digits.startswith(prefixes) and len(set(digits)) > 3 and luhn(digits)


def _nhs(digits: str) -> bool:  # NHS Data Dictionary: modulus 11
    check = 11 - _weighted(digits[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2), 11)
    return check % 11 == int(digits[9]) and check != 10


def _bsn(digits: str) -> bool:  # Dutch burgerservicenummer: the "elfproef"
    return (_weighted(digits[:8], (9, 8, 7, 6, 5, 4, 3, 2), 11) - int(digits[8])) % 11 == 0


def _dni(text: str) -> bool:  # Spanish DNI and NIE: letter by the remainder of 23
    number = int(text[:-1].translate(str.maketrans("XYZ", "012")))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == text[-1]


def _nir(digits: str) -> bool:  # French social security number: 97 minus the remainder of 97
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def _pesel(digits: str) -> bool:  # Polish PESEL
    return (10 - _weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), 10)) % 10 == int(digits[10])


def _cpf(digits: str) -> bool:  # Brazilian CPF: two digits, each modulus 11
    first = _weighted(digits[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2), 11)
    second = _weighted(digits[:10], (11, 10, 9, 8, 7, 6, 5, 4, 3, 2), 11)
    wanted = "".join(str(0 if rest < 2 else 11 - rest) for rest in (first, second))
    return len(set(digits)) > 1 and digits[9:] == wanted


def _steuer_id(digits: str) -> bool:  # German tax number: ISO 7064 MOD 11,10
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def _ssn(digits: str) -> bool:  # United States: areas and groups never issued
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _fiscale(text: str) -> bool:  # Italian codice fiscale: odd and even places have tables of their own
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    values = [int(char) if char.isdigit() else ord(char) - 65 for char in text[:15]]
    total = sum(odd[value] if place % 2 == 0 else value for place, value in enumerate(values))
    return chr(65 + total % 26) == text[15]


def _number(kind: str, pattern: str, valid: Callable[[str], bool], named: str = "") -> _Number:
    return _Number(kind, re.compile(pattern), valid, re.compile(named, re.I) if named else None)


_NUMBERS = (
    _number("card number", r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d.,-]\d)", _card),
    _number("NHS number", r"(?<!\d)\d{3}[ -]?\d{3}[ -]?\d{4}(?!\d)", _nhs, r"\bNHS\b"),
    _number("BSN", r"(?<!\d)\d{9}(?!\d)", _bsn, r"\b(?:BSN|burgerservice|sofi)"),
    _number("DNI", r"\b[XYZ]?\d{7,8}-?[A-Z]\b", _dni, r"\b(?:DNI|NIE|NIF|identidad)\b"),
    _number("NIR", r"(?<!\d)[12](?: ?\d){14}(?!\d)", _nir, r"\b(?:NIR|s[ée]curit[ée] sociale|INSEE)\b"),
    _number("PESEL", r"(?<!\d)\d{11}(?!\d)", _pesel, r"\bPESEL\b"),
    _number("CPF", r"(?<!\d)\d{3}\.?\d{3}\.?\d{3}-?\d{2}(?!\d)", _cpf, r"\bCPF\b"),
    _number("Steuer-ID", r"(?<!\d)\d{2} ?\d{3} ?\d{3} ?\d{3}(?!\d)", _steuer_id, r"Steuer-?(?:ID|ident|nummer)|\bIdNr\b"),
    _number("social security number", r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])", _ssn, r"\b(?:SSN|social security)\b"),
    _number("codice fiscale", r"\b[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]\b", _fiscale),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PersonalDataScreen:
    """Numbers that belong to one person or account, and lists of addresses."""

    name: str = "personal-data"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold card and identity numbers whose check digits hold; warn of bank accounts; note lists of addresses."""
        text = document.text
        if _HAS.search(text) is None:
            return
        for number in _NUMBERS:
            for match in number.pattern.finditer(text):
                if _is_meant(text, match, number):
                    reason = f"{number.kind} with valid check digits"
                    yield Finding(
                        "PERSONAL_NUMBER", Severity.HOLD, match.start(), match.end(), reason, _STANDARD
                    )
        for match in _IBAN.finditer(text):
            if iban(match[0].replace(" ", "")):
                yield Finding(
                    "IBAN", Severity.WARN, match.start(), match.end(), "bank account number", _STANDARD
                )
        found = {match[0].lower(): match for match in _EMAIL.finditer(text)} if "@" in text else {}
        if len(found) >= MANY:
            yield Finding("ADDRESSES", Severity.NOTE, 0, 0, f"{len(found)} e-mail addresses", _STANDARD)


def _is_meant(text: str, match: re.Match[str], number: _Number) -> bool:
    plain = re.sub(r"[ .-]", "", match[0])
    if number.named is not None and not number.named.search(
        text, max(0, match.start() - NEAR), match.start()
    ):
        return False
    return not _TEST_CARDS.fullmatch(plain) and number.valid(plain)
