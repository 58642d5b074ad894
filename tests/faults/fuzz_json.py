"""JSON by class: what RFC 8259 lets through, what it refuses and what it leaves open, as both of our readers must take it.

The classes are those by which Seriot's JSONTestSuite sorts its files (seriot.ch, "Parsing JSON is a Minefield"): structure,
object, list, string, number, literal, encoding. The texts are our own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One text. `value`: it stands for a member's value, else for the whole frame. `ea`: where that reader differs."""

    name: str
    text: bytes
    good: bool
    value: bool = True
    ea: bool | None = None

    @property
    def good_for_ea(self) -> bool:
        return self.good if self.ea is None else self.ea

    def frame(self) -> bytes:
        """The whole frame for the brain's reader."""
        return b'{"x":' + self.text + b"}" if self.value else self.text


def _values(group: str, good: bool, texts: list[str | bytes]) -> list[Case]:
    found = []
    for number, text in enumerate(texts):
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        found.append(Case(f"{group} {number}: {raw[:24]!r}", raw, good))
    return found


def _wholes(group: str, good: bool, texts: list[str | bytes]) -> list[Case]:
    return [Case(case.name, case.text, case.good, value=False) for case in _values(group, good, texts)]


CASES: list[Case] = [
    *_values("number", True, [
        "0", "-0", "7", "-7", "10", "0.5", "-0.5", "12.3400", "1e5", "1E5", "1e+5", "1e-5", "1.5e3", "-1.5E-3",
        "0e0", "0.0e-0", "19e00000000000", "1E-0000000002",
        "9007199254740993", "18446744073709551615", "1.7976931348623157e308", "1e-300", "0." + "1" * 38, "9" * 40,
    ]),
    *_values("number that is none", False, [
        "00", "01", "-01", "-", "+1", "--1", "-+1", "1-", "1+1", ".5", "-.5", "1.", "1.e5", "1e", "1e+", "1E-",
        "1e5.5", "1ee5", "0x1F", "0b1",
        "0o7", "1_000", "1,5", "1 000", "1.2.3", "1f", "1L", "1n", "½", "１", "٣", "1٣", "−1", "NaN", "nan", "-NaN",
        "Infinity", "-Infinity",
        "inf", "∞", "1e309", "-1e309", "1e99999999999999999999", "9" * 41, "1." + "0" * 40, "1/2", "$1", "'1'",
        "0.1.",
    ]),
    *_values("string", True, [
        '""', '" "', '"a"', '"\\""', '"\\\\"', '"\\/"', '"\\b\\f\\n\\r\\t"', '"\\u0041"', '"\\u00e9"', '"\\u20AC"',
        '"\\ud83d\\ude00"',
        '"\\uDBFF\\uDFFF"', '"€"', '"\U0001f600"', '"\x7f"', '"\u2028\u2029"', '"\ufeff"', '"\ufffe"', '"\\uffff"',
        '"{[,:]}"', '"// no"',
        '"\\u002f"', '"\\u0001"', '"' + "x" * 5000 + '"',
    ]),
    *_values("string that is none", False, [
        '"', '"a', 'a"', "'a'", '"a\nb"', '"a\tb"', '"a\x00b"', '"\x1f"', '"\\"', '"\\x41"', '"\\a"', '"\\0"',
        '"\\\'"', '"\\u"', '"\\u1"',
        '"\\u12"', '"\\u123"', '"\\u12G4"', '"\\U00000041"', '"\\u{41}"', '"\\ud800"', '"\\udc00"', '"\\ud800x"',
        '"\\ud800\\n"', '"\\ud800\\ud800"',
        '"\\udc00\\ud800"', '"\\ud83d\\u0041"', '"\\ｕ0041"', '"\\u００４１"', "“a”", "`a`", '"a" "b"', '"a"+"b"',
        '"""a"""', '"\\\n"',
    ]),
    *_values("string in broken UTF-8", False, [
        b'"\xff"', b'"\x80"', b'"\xc3"', b'"\xc0\xaf"', b'"\xe0\x80\xaf"', b'"\xed\xa0\x80"', b'"\xed\xbf\xbf"',
        b'"\xf0\x80\x80\xaf"',
        b'"\xf4\x90\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\xe2\x82"', b'"\xf0\x9f\x98"', b'"\xe9"',
    ]),
    *_values("literal", True, ["true", "false", "null", " true ", "\ttrue\r\n"]),
    *_values("literal that is none", False, [
        "True", "TRUE", "tru", "truee", "fals", "False", "nul", "Null", "NULL", "None", "undefined", "nil", "yes",
        "t", "n", "true false", "",
        " ", "@", "&", "#", "?", "*", "\\u0074rue", "true//", "truе",
    ]),
    *_values("list", True, ["[]", "[ ]", "[1]", '[1,"a",null,{}]', "[[],[[]]]", "[\n1\t,\r2 ]", "[" * 15 + "]" * 15]),
    *_values("list that is none", False, [
        "[", "]", "[1", "[1,", "[,", "[,1]", "[1,]", "[1,,2]", "[1 2]", "[1;2]", "[1:2]", '["a":1]', "[1}", "{1]",
        "[[1]", "[1]]", "[1]x", "(1)",
        "<1>", "[1,\x0c2]", "[1,\x0b2]", "[1,\u00a02]", "[1,\u20022]", "[1,\ufeff2]", "[1,/*c*/2]", "[#\n1]",
        "[" * 16 + "]" * 16, "[" * 5000,
        '[{"":' * 2000, "[" * 500 + "]" * 500,
    ]),
    *_values("object", True, [
        "{}", "{ }", '{"a":1}', '{"a":1,"b":2}', '{"":0}', '{"a":{"a":{"a":1}}}', '{"a" : 1 , "b" : [ ] }',
        '{"\\u0061":1,"b":2}', '{"a":1,"A":2}',
        '{"é":1,"e\u0301":2}', '{"x":{"x":1}}',
    ]),
    *_values("object that is none", False, [
        "{", "}", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{,"a":1}', '{"a":1,,"b":2}', '{"a":1 "b":2}',
        '{"a" 1}', '{"a"::1}', '{"a"=1}',
        "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{[]:1}", '{"a"}', "{:1}", '{"a":1]', '{"a":1;"b":2}', '{"a":1}}',
        '{"a":1}{}',
        '{"a":1,"a":1}', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"b":1,"c":{"a":1,"a":1}}', '{"/":1,"\\/":2}',
        '{"":1,"":1}', '{"a":1/**/}',
        '{"a":1}//', '{"\\ud800":1}', '{"a\n":1}',
    ]),
    *_wholes("frame", True, ["{}", " {} ", "\n\t\r {}\n", '{"a":[]}']),
    *_wholes("frame that is none", False, [
        "", " ", "\n", "null", "true", "1", '"a"', "[]", '[{"a":1}]', "{}{}", "{} {}", "{}\n{}", "{},", ",{}",
        "{}]", "{}}", "{}x", "x{}", "{}\x00",
        "\x00{}", "\ufeff{}", "{}\ufeff", "\u2060{}", "\x0c{}", "\u00a0{}", "{}//c", "/*c*/{}", "#c\n{}",
        b"\xff\xfe{\x00}\x00", b"\x00{\x00}",
        b"\xef\xbb\xbf{}", b"{}\xff", b"\xc3{}", '<a b="c"/>', "a=1&b=2", "{" * 5000, '{"a":' * 5000,
        '{"a":' * 17 + "1" + "}" * 17,
    ]),
    # Where the two readers were built differently, each within RFC 8259 section 9 ("may set limits").
    Case("an escaped NUL", b'"\\u0000"', True, ea=False),
    Case("an exponent of gigabytes of zeros", b"1e-100000000", False, ea=True),
    Case("zero with such an exponent", b"0e999999", False, ea=True),
    Case("65 members", b"{" + b",".join(b'"k%d":1' % n for n in range(65)) + b"}", True, ea=False),
]  # fmt: skip
