"""The bench itself: what it translates, what it refuses to run, and that its platform has the terminal's oddities."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .build import BuildFailed, build, compiler
from .host import BenchError, HostTerminal
from .lexer import SourceError
from .translator import Translator

pytestmark = pytest.mark.processes


def write(folder: Path, text: str, name: str = "test.mq5") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def run(folder: Path, text: str, **inputs: object) -> subprocess.CompletedProcess[str]:
    """Compile a program and let it run through OnInit and OnDeinit."""
    built = build(write(folder, text))
    settings = write(folder, "".join(f"{name}={value}\n" for name, value in inputs.items()), "test.set")
    command = [str(built.executable), "--files", str(folder), "--common", str(folder), "--set", str(settings)]
    return subprocess.run(
        command, input="", text=True, capture_output=True, timeout=60, check=False, cwd=built.folder
    )


def test_arrays_literals_and_inputs_are_translated(tmp_path: Path) -> None:
    write(tmp_path, "const int LIMIT=3;\n", "part.mqh")
    source = write(
        tmp_path,
        '#property copyright "x"\n#include "part.mqh"\n#import "some.dll"\nint f(long h,const uchar &b[],ulong &n);\n#import\n'
        'input group "g"\ninput int InpA=5; // five\nuchar g_bytes[];\nstring g_names[LIMIT];\n'
        "void F(const uchar &b[],datetime when=D'2024.01.02') { uchar c='x'; ulong u=9223372036854775807; color k=C'1,2,3'; }\n"
        "int OnInit() { return(0); }\n",
    )
    program = Translator(tmp_path).translate(source)
    for piece in (
        "Array<uchar> g_bytes",
        "FixedArray<string,(LIMIT)> g_names",
        "const Array<uchar> &b",
        'mql::date_literal("2024.01.02")',
        "((ushort)u'x')",
        "9223372036854775807UL",
        'mql::color_literal("1,2,3")',
        'mql::InputVariable input_InpA("InpA",InpA)',
        'mql::library_symbol("some.dll","f")',
        "table.OnInit = ea::OnInit",
        f'#line 1 "{tmp_path / "part.mqh"}"',
    ):
        assert piece in program.text
    assert program.inputs == ["InpA"]
    assert [path.name for path in program.sources] == ["test.mq5", "part.mqh"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("int a[2][3];", "one dimension"),
        ("int a[],b[];", "one array at a time"),
        ('#include "missing.mqh"\n', "include not found"),
        ("#pragma once\n", "not translated"),
        ("int x=`5;", "unreadable character"),
    ],
)
def test_what_is_not_translated_is_refused_with_its_line(tmp_path: Path, source: str, problem: str) -> None:
    with pytest.raises(SourceError, match=f"test.mq5:1: .*{problem}"):
        Translator(tmp_path).translate(write(tmp_path, source))


WARNED_OF = [
    'string s="a"+5;',
    "ENUM_ORDER_TYPE t=1;",
    "int x=(int)5; long y=5000000000; x=y; Print(x);",
    "double d=1.5; int x=d; Print(x);",
    "double b=AccountInfoDouble(ACCOUNT_LOGIN); Print(b);",
    "uchar a[]; uchar b[]; a=b;",
    "char a[]; uchar b[]; ArrayCopy(a,b);",
    "int x=1; { int x=2; Print(x); }",
]


def test_what_metaeditor_only_warns_of_is_an_error(tmp_path: Path) -> None:
    functions = "".join(f"void F{number}() {{ {body} }}\n" for number, body in enumerate(WARNED_OF))
    with pytest.raises(BuildFailed) as refused:
        build(write(tmp_path, functions))
    complaints = str(refused.value)
    silent = [body for line, body in enumerate(WARNED_OF, 1) if f"test.mq5:{line}:" not in complaints]
    assert silent == []


FATAL = [
    ("uchar a[]; ArrayResize(a,2); int n=ArraySize(a); a[n]=1;", "array out of range"),
    ('string s="ab"; int n=StringLen(s); Print((int)s[n]);', "string index out of range"),
    ('Print(StringFormat("%d",(long)5));', "64-bit"),
    ('Print(StringFormat("%d","x"));', "integer specifier"),
    ('Print(StringFormat("%s",5));', "needs a string"),
    ('Print(StringFormat("%f",5));', "a double is needed"),
    ('Print(StringFormat("%d %d",5));', "too few"),
    ('Print(StringFormat("%d",5,6));', "too many"),
    ('Print(StringFormat("%y",5));', "unknown specifier"),
    ('FileOpen("../x",FILE_READ|FILE_BIN);', "outside the sandbox"),
    ('FileOpen("x",FILE_READ|FILE_TXT);', "FILE_BIN"),
]


def test_what_stops_a_program_in_the_terminal_stops_it_here(tmp_path: Path) -> None:
    cases = "".join(f"if(InpCase=={number}) {{ {body} }}\n" for number, (body, _) in enumerate(FATAL))
    source = f"input int InpCase=-1;\nint OnInit() {{\n{cases}return(0); }}\n"
    assert run(tmp_path, source).returncode == 0
    for number, (body, problem) in enumerate(FATAL):
        ended = run(tmp_path, source, InpCase=number)
        assert (ended.returncode, problem in ended.stderr) == (77, True), body


def test_a_missing_library_stops_the_program(tmp_path: Path) -> None:
    source = '#import "nowhere.dll"\nint f(int x);\n#import\nint OnInit() { return(f(1)); }\n'
    assert run(tmp_path, source).returncode == 78


def test_writes_are_in_the_file_only_after_the_flush(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        'uchar b[];\nint OnInit() { ArrayResize(b,3); int h=FileOpen("f",FILE_WRITE|FILE_BIN|FILE_SHARE_READ);\n'
        "FileWriteArray(h,b); ulong before=FileSize(h); FileFlush(h);\n"
        'PrintFormat("%I64u %I64u %d",before,FileSize(h),FileOpen("f",FILE_WRITE|FILE_READ|FILE_BIN)); return(0); }\n',
    )
    assert "EA: 0 3 -1" in ended.stderr


def test_a_build_is_made_once(tmp_path: Path) -> None:
    source = "int OnInit() { return(0); }\n"
    first = build(write(tmp_path, source))
    made = first.executable.stat().st_mtime_ns
    build.cache_clear()
    assert build(tmp_path / "test.mq5").executable.stat().st_mtime_ns == made
    assert compiler()


def test_unknown_control_commands_are_named(tmp_path: Path) -> None:
    terminal = HostTerminal(tmp_path)
    terminal.start()
    with pytest.raises(BenchError, match="error dance"):
        terminal.control("dance")
    terminal.close()
