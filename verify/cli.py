"""The command line: ``python -m verify run | list | explain | replay | trained``."""

import argparse
import ast
import fnmatch
import inspect
import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minigan._names import unknown
from minigan._terms import as_options
from minigan.cli.support import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, Parser
from minigan.training import RunError
from minigan.training.files import atomic_write
from verify.arithmetic.decide import Undecided
from verify.claims import load_claims
from verify.engine.certificate import Certificate
from verify.engine.certify import interrupted
from verify.engine.proof import PROFILES, Profile
from verify.engine.registry import RIGOR, Claim
from verify.engine.replay import Replayed, replay_all
from verify.engine.runner import run
from verify.report import formats, matrix_markdown, write_html
from verify.trained.command import add_trained_command, run_trained

Certificates = Sequence[Certificate]

EXIT_CODES = "exit status: 0 all proved, every wrong statement refuted; 1 otherwise; 2 usage error; 130 Ctrl-C"


def write_json(path: Path, certificates: Certificates, _profile: Profile, _elapsed: float) -> Path:
    """Write the certificates as JSON, which `replay` reads."""
    return formats.write_json(path, certificates)


def write_page(path: Path, certificates: Certificates, profile: Profile, elapsed: float) -> Path:
    """Write the report as HTML."""
    return write_html(certificates, path, profile=profile, elapsed=elapsed)


def write_matrix(path: Path, certificates: Certificates, _profile: Profile, _elapsed: float) -> Path:
    """Write the table of claims as Markdown."""
    text = matrix_markdown(certificates)
    return atomic_write(path, lambda stream: stream.write(text.encode()))


WRITERS = {"json": write_json, "html": write_page, "markdown": write_matrix}


def profile(text: str) -> Profile:
    """Return the profile of this name; an argument type."""
    if text not in PROFILES:
        raise argparse.ArgumentTypeError(unknown("profile", text, PROFILES))
    return PROFILES[text]


def workers(text: str) -> int:
    """Return a number of processes; an argument type."""
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} given; expected a whole number >= 1")
    return int(text)


def build_parser(prog: str) -> Parser:
    """Return the parser of all commands."""
    parser = Parser(prog=prog, description="Prove the theory of GANs, with certificates.", epilog=EXIT_CODES)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)

    one = commands.add_parser("run", help="check claims", description="Check claims.", epilog=EXIT_CODES)
    one.add_argument(
        "--profile", type=profile, default=PROFILES["quick"], metavar="NAME",
        help=", ".join(f"{p.name} ({p.digits} digits)" for p in PROFILES.values()),
    )  # fmt: skip
    one.add_argument("--only", default="*", metavar="ID-GLOB", help="check only these claims, such as 'T1.identity.*'")
    one.add_argument("--workers", type=workers, metavar="N", help="number of processes (default: one for each core)")
    for name in WRITERS:
        one.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write the certificates as {name.upper()}")

    one = commands.add_parser("list", help="list the claims", description="List the claims.", epilog=EXIT_CODES)
    one.add_argument("only", nargs="?", default="*", metavar="ID-GLOB", help="list only these claims")

    one = commands.add_parser(
        "explain", help="show a statement, the idea of its proof and the code that checks it",
        description="Show a statement, the idea of its proof and the code that checks it.", epilog=EXIT_CODES,
    )  # fmt: skip
    one.add_argument("id", metavar="ID", help="a claim that `list` shows")

    one = commands.add_parser(
        "replay", help="check certificates again at higher precision",
        description="Check a file of certificates again: its digests, its verdicts, and its balls at higher precision.",
        epilog=EXIT_CODES,
    )  # fmt: skip
    one.add_argument("file", type=Path, metavar="FILE", help="what `run --json` or `trained` wrote")
    one.add_argument("--only", default="*", metavar="ID-GLOB", help="check only these certificates")
    add_trained_command(commands)
    for name, sub in commands.choices.items():
        sub.set_defaults(parser=sub, act=COMMANDS[name])
    return parser


def require_files(files: Mapping[str, Path]) -> None:
    """Refuse files that cannot be written, and one file for two outputs; an existing file is replaced after the run."""
    for name, path in files.items():
        try:
            if path.is_dir() or not path.parent.is_dir():
                raise ValueError(f"--{name} {path}; expected a file in a folder that exists")
            handle, probe = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # as `atomic_write` does
        except OSError as error:
            raise ValueError(f"--{name} {path}: {error.strerror}; expected a file that can be written") from None
        os.close(handle)
        os.unlink(probe)
    by_path = {path.resolve(): name for name, path in files.items()}
    if len(by_path) < len(files):
        raise ValueError(f"{', '.join(f'--{name} {path}' for name, path in files.items())}; expected different files")


def command_run(args: Any) -> int:
    """Check claims, print the table and write the files; return the exit status."""
    from minigan.ops.cpu.threads.pool import cores  # here, because the import loads the CPU backend

    claims = load_claims().select(args.only)
    files = {name: path for name in WRITERS if (path := getattr(args, name)) is not None}
    require_files(files)  # before the checks, which take long
    start = time.perf_counter()
    processes = min(args.workers or cores(), len(claims))
    with tqdm(total=len(claims), unit="claim", disable=None, leave=False) as bar:

        def done(certificate: Any) -> None:
            bar.set_postfix_str(certificate.id, refresh=False)
            bar.update()

        certificates = run(claims, args.profile, workers=processes, done=done)
    print(formats.table(certificates))
    for name, path in files.items():
        print(WRITERS[name](path, certificates, args.profile, time.perf_counter() - start))
    return EXIT_OK if formats.passed(certificates) else EXIT_FAILED


def command_list(args: Any) -> int:
    """Print the ids, rigor and statements of claims; return the exit status."""
    claims = load_claims().select(args.only)
    for claim in claims:
        print(f"{claim.id:<40}{claim.rigor:<16}{claim.statement}")
    counts = ", ".join(f"{n} {rigor}" for rigor in RIGOR if (n := sum(c.rigor == rigor for c in claims)))
    print(f"\n{len(claims)} claims: {counts}")
    return EXIT_OK


def command_explain(args: Any) -> int:
    """Print everything about a claim; return the exit status."""
    claim = load_claims()[args.id]
    print(explain(claim))
    return EXIT_OK


def explain(claim: Claim) -> str:
    """Return the statement, its source, the idea of the proof, the negative controls and the code, as plain text."""
    lines = [claim.id, "", claim.statement, ""]
    lines += [f"assuming   {assumption}" for assumption in claim.assumptions]
    lines += [
        f"source     {claim.source}",
        f"rigor      {claim.rigor}: {RIGOR[claim.rigor]}",
        f"idea       {claim.idea}",
    ]
    lines += [
        "",
        "negative controls, wrong statements that the check must refute:",
        *(f"  - {name}" for name in claim.controls),
        "",
    ]
    return "\n".join(lines) + "\n" + code(claim.check)


def code(check: Callable[..., Any]) -> str:
    """Return the source of a check without its decorators, after a comment with the arguments bound to it."""
    bound = ""
    while isinstance(check, partial):
        given = [repr(arg) for arg in check.args] + [f"{key}={value!r}" for key, value in check.keywords.items()]
        bound += f"# with {', '.join(given)}\n"
        check = check.func
    source = textwrap.dedent(inspect.getsource(check))
    try:
        (statement,) = ast.parse(source).body
    except (SyntaxError, ValueError):  # the source of a lambda is its lines, which may not parse
        return bound + source
    if isinstance(statement, ast.FunctionDef):  # its line is that of `def`: leave out the decorators
        source = "".join(source.splitlines(keepends=True)[statement.lineno - 1 :])
    return bound + source


def command_replay(args: Any) -> int:
    """Check the certificates of a file again and print the outcomes; return the exit status."""
    report, claims = formats.read_json(args.file), load_claims()
    records, sealed = report["certificates"], report.get("digest") == formats.seal(report)
    chosen = [record for record in records if fnmatch.fnmatchcase(str(record.get("id")), args.only)]
    if not chosen:
        message, _, _ = unknown("certificate", args.only, [str(record.get("id")) for record in records]).partition(";")
        raise ValueError(f"--only: {message}; expected an id in {args.file}, or a pattern that one matches")
    with tqdm(total=len(chosen), unit="certificate", disable=None, leave=False) as bar:

        def done(_: Replayed) -> None:
            bar.update()

        found = replay_all(chosen, claims, base_dir=args.file.parent, done=done)
    for one in found:
        print(one, *(f"\n    {reason}" for reason in one.reasons), sep="")
    accepted = sum(one.accepted for one in found)
    print(f"\n{accepted} of {len(found)} certificates accepted{formats.coverage(chosen, claims)}")
    faults = [] if sealed else ["the digest does not match; the report was changed after it was made"]
    faults += formats.contradictions(report)
    for fault in faults:
        print(f"{args.file} REFUSED: {fault}")
    return EXIT_OK if not faults and accepted == len(found) else EXIT_FAILED


COMMANDS = {
    "run": command_run,
    "list": command_list,
    "explain": command_explain,
    "replay": command_replay,
    "trained": run_trained,
}


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m verify") -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.
    prog : str
        The name of the program in messages; by default "python -m verify".

    Returns
    -------
    int
        The exit status: 0 if everything is proved and every wrong statement refuted, 1 if not, 2 after a usage error,
        130 after Ctrl-C.

    """
    args = build_parser(prog).parse_args(argv)
    try:
        return int(args.act(args))
    except BrokenPipeError:  # the reader closed the pipe: print nothing; no verdict, no status 0
        return EXIT_OK if args.command in ("list", "explain") else EXIT_FAILED
    except (ValueError, OSError) as error:
        print(f"{prog} {args.command}: {as_options(str(error))}", file=sys.stderr)
        return EXIT_USAGE
    except (RunError, Undecided) as error:
        print(f"{prog} {args.command}: {as_options(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    except (KeyboardInterrupt, SystemError) as error:
        if not interrupted(error):
            raise
        print(f"{prog} {args.command}: interrupted; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
