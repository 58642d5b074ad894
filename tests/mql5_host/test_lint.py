"""The lint that stands in for MetaEditor: the EA passes it, and each planted mistake is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .build import EA_FOLDER, RUNTIME
from .lint import lint, official_names

SOURCES = [*sorted(EA_FOLDER.glob("*.mq5")), *sorted((EA_FOLDER / "Include/Medulla").glob("*.mqh"))]
_EXPORTED = re.compile(r"^(?:template <.*?> |inline |static )*[\w:<>]+ \*?&?([A-Z]\w+)\(", re.M)


def test_the_expert_advisor_is_clean() -> None:
    assert len(SOURCES) > 20
    assert [str(finding) for finding in lint(SOURCES)] == []


def test_files_stay_readable() -> None:
    for path in SOURCES:
        text = path.read_text("utf-8")
        lines = text.splitlines()
        assert lines[1].startswith(f"//| {path.name}"), path.name
        # A file of the EA holds one thing; about 400 lines.
        assert len(lines) <= 430, path.name
        assert max(map(len, lines)) <= 170, path.name
        assert "\t" not in text, path.name


def test_the_runtime_invents_no_function() -> None:
    declared = set(_EXPORTED.findall((RUNTIME / "mql_functions.h").read_text())) - {"FormatArgument"}
    assert len(declared) > 100
    assert declared - official_names() == set()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("void F() { MqlTick t; }", "a local without a value"),
        ("void F() { int x; x=5; }", "a local without a value"),
        ("void F() { auto x=5; }", "not in this style"),
        ("void F() { string s=NULL; }", "not in this style"),
        ("class A { int m; }; void F(A a) { }", "passed by value"),
        ("struct A { int m; }; void F(const int n,A a,int k) { }", "passed by value"),
        ("void F(uchar a[]) { }", "an array passed by value"),
        ("void F(const int &x) { }", "const reference to a simple type"),
        ("struct A { int m; }; void F(A &b) { A &c=b; }", "a local reference"),
        ("class A { int m; }; void F() { A *p=5; }", "a pointer"),
        ("void F() { PositionCloseAll(); }", "unknown to the MQL5 reference"),
        ("void F() { x->y=1; }", "'->' is C++"),
        ('void F() { Print("\\e"); }', "an escape"),
        ('void F() { Print("é"); }', "only ASCII"),
        ("#if 1\n#endif\n", "not a directive"),
        ("#define MAX(a,b) a\n", "a macro with parameters"),
        ("int " + "x" * 64 + "=1;", "more than 63 characters"),
    ],
)
def test_a_planted_mistake_is_found(tmp_path: Path, source: str, problem: str) -> None:
    path = tmp_path / "planted.mqh"
    path.write_text(source, "utf-8")
    assert any(problem in str(finding) for finding in lint([path])), [
        str(finding) for finding in lint([path])
    ]


def test_good_code_is_left_in_peace(tmp_path: Path) -> None:
    path = tmp_path / "good.mqh"
    path.write_text(
        "struct S { int m; };\nvoid F(const S &s,const uchar &a[],const string t)\n  {\n   int x=(int)s.m;\n   MqlTick k={};\n"
        '   Print(x,t,"\\\\u \\n",k.bid,ArraySize(a));\n  }\n'
        "void OnChartEvent(const int id,const long &lparam,const double &dparam,const string &sparam) { Print(id); }\n"
    )
    assert [str(finding) for finding in lint([path])] == []
