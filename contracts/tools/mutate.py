#!/usr/bin/env python3
"""Mutation testing: slither-mutate's mutators on the contracts of src/, each mutant against test/unit.

    python tools/mutate.py [CONTRACT ...]      run by `cargo xtask contracts --mutate`, with the slither of its own

It prints how many of the mutants that compile fail a test, and names those that live. One that lives must stand in
mutation.md with the reason why it may; any other is a hole in the tests, and the run fails. slither-mutate itself compiles
everything anew for each mutant and changes the sources where they lie: this works on copies, one a core, keeps a warm
compiler for each, and compiles what a mutant changes, which is a second instead of a minute. As there, a line whose
statement can be left out unnoticed (CR) gets no further mutants.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from slither import Slither
from slither.slithir.operations import Binary
from slither.tools.mutator.__main__ import _get_mutators
from slither.tools.mutator.mutators.ROR import ROR
from slither.tools.mutator.utils.patch import create_patch_with_line

# What RR finds, a statement that no test reaches, coverage says; what FHR changes, who may call a function, the compiler
# and abi/ say.
LEFT_OUT = ("", "RR", "FHR")
# No change: a constant that is called immutable; half of a word, which still holds all tokens there are. Nor is `i++` one
# of `++i` where it stands alone, as it does here.
SAME = {" constant": " immutable", "int256": "int128"}
# The tests that are a contract's own: they notice most of its mutants, in a fraction of the time of all.
OWN = {
    "AccessGate": "Gate", "Courts": "Court Registry", "Funding": "Ledger", "InferenceChannels": "Channels Closing",
    "InferenceGovernor": "Governance", "InferenceToken": "Token", "Keys": "Governance", "Leaves": "Membership Doors",
    "Ledger": "Ledger Channels", "MembershipRegistry": "Membership Doors", "Pam1": "Pam1", "Params": "Token",
    "Poseidon": "Poseidon Membership", "ProviderRegistry": "Registry Identity", "QualityCourt": "Court Faults",
    "RevenueSplitter": "Splitter", "RootKeys": "Identity", "Timelock": "Governance", "Typed": "Ledger Channels Closing",
    "VotesAggregator": "Governance",
}
ROOT = pathlib.Path(__file__).resolve().parent.parent
# npm's own `forge` swallows the exit code.
FORGE = next((ROOT / "node_modules/@foundry-rs").glob("forge-*/bin/forge*"))
SKIPPED = json.loads(re.search(r"^skip = (.*)$", (ROOT / "foundry.toml").read_text(), re.M)[1])
LIST = ROOT / "mutation.md"
CAUGHT, LIVES, NOT_COMPILED = "caught", "lives", "does not compile"
# A mutant may loop: the tests take a second of computing.
LOOPS = 30
TOO_LONG = (signal.SIGXCPU, signal.SIGKILL)

Mutant = collections.namedtuple("Mutant", "contract file line mutator start end old new")


class Relations(ROR):
    """slither's own puts a whole statement where a comparison stood, fails at some, and then makes no mutant at all."""

    OTHERS = {"<": ("<=", ">="), ">": (">=", "<="), "<=": ("<", ">"), ">=": (">", "<"), "==": ("!=",), "!=": ("==",)}

    def _mutate(self):
        result = {}
        for function in self.contract.functions_and_modifiers_declared:
            for node in filter(self.should_mutate_node, function.nodes):
                for ir in node.irs:
                    others = self.OTHERS.get(ir.type.value) if isinstance(ir, Binary) and ir.expression else None
                    if others is None:
                        continue
                    at = ir.expression.source_mapping
                    halves = re.split(rf"(?<![<>=!]){ir.type.value}(?![<>=])", at.content)
                    if len(halves) != 2:
                        continue
                    for other in others:
                        create_patch_with_line(result, self.in_file, at.start, at.start + at.length, at.content,
                                               other.join(halves), node.source_mapping.lines[0])
        return result


def words(text):
    """One line of it, as a row of mutation.md has it."""
    return " ".join(text.split()).replace("|", "¦")


def row(mutant):
    return (mutant.contract, mutant.mutator, words(mutant.old), words(mutant.new))


def listed(file):
    """The rows of mutation.md, or of what a run printed: | contract | mutator | code | mutant | why it may live |"""
    rows = {}
    if file.exists():
        for line in file.read_text().splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
            if len(cells) == 5 and cells[0] in CONTRACTS:
                rows[(cells[0], cells[1], cells[2].strip("`"), cells[3].strip("`"))] = cells[4]
    return rows


# Interfaces and free functions are no contracts to slither-mutate.
CONTRACTS = sorted(
    file.stem for folder in ("src", "src/libraries") for file in (ROOT / folder).glob("*.sol")
    if re.search(rf"^(abstract )?(contract|library) {file.stem}\b", file.read_text(), re.M)
)


def mutants(contracts, names):
    """All mutants of the named contracts, the severe ones first, each once."""
    mutators = {mutator.NAME: mutator for mutator in _get_mutators(None)} | {Relations.NAME: Relations}
    mutators = [mutators[name] for name in sorted(mutators, key=lambda n: (n != "CR", n)) if name not in LEFT_OUT]
    slither = Slither(str(contracts), disable_solc_warnings=True)
    found = {}
    for name in names:
        folder = "src" if (contracts / f"src/{name}.sol").exists() else "src/libraries"
        file = contracts / folder / f"{name}.sol"
        for unit in slither.compilation_units:
            for contract in unit.contracts:
                if contract.name != name or contract.source_mapping.filename.absolute != str(file):
                    continue
                for mutator in mutators:
                    try:
                        made = mutator(unit, 0, "", None, contract, None, False, contracts, [])._mutate()
                    except (IndexError, AttributeError) as error:
                        print(f"{mutator.NAME} makes no mutants of {name}: {error}")
                        continue
                    for patch in sorted(made.get("patches", {}).get(str(file), []), key=lambda p: p["start"]):
                        old, new = patch["old_string"], patch["new_string"]
                        if any(old.replace(one, other) == new for one, other in SAME.items()) or new == old[2:] + old[:2]:
                            continue
                        key = (name, patch["start"], patch["end"], patch["new_string"])
                        found.setdefault(key, Mutant(name, file.relative_to(contracts), patch["line_number"], mutator.NAME, patch["start"],
                                                     patch["end"], patch["old_string"], patch["new_string"]))
    return list(found.values())


class Copy:
    """The folder with what it reads beside it, its warm solc on a socket, and the runs that were seen to pass in it.

    Its methods are for one thread at a time. node_modules is not written to.
    """

    def __init__(self, to):
        self.contracts, self.socket = to / "contracts", to / "solc"
        self.used, self.server, self.sound, self.ended = 0, None, set(), False
        skip = shutil.ignore_patterns("node_modules", "out*", "cache*", "broadcast", "deployments")
        shutil.copytree(ROOT, self.contracts, ignore=skip)
        # Tests that call a library themselves would be compiled anew with each of its mutants; this way only the reader is.
        (self.contracts / "test/Reader.sol").rename(self.contracts / "src/Reader.sol")
        (self.contracts / "test/Reader.sol").write_text('pragma solidity 0.8.37;\nimport {Reader} from "../src/Reader.sol";\n')
        (self.contracts / "node_modules").symlink_to(ROOT / "node_modules")
        (to / "tests").symlink_to(ROOT.parent / "tests")

    def compiler(self):
        """Made anew now and then, as its memory only grows."""
        self.used += 1
        if self.server is None or self.used % 300 == 0:
            self.end()
            command = ["node", "tools/solc", "--serve", str(self.socket)]
            self.server = subprocess.Popen(command, cwd=self.contracts, stdin=subprocess.PIPE)
            while not self.socket.exists():
                time.sleep(0.05)
        return str(self.socket)

    def end(self):
        if self.server is not None:
            self.server.stdin.close()
            self.server.wait()
            self.socket.unlink(missing_ok=True)

    def forge(self, own, whole):
        """Runs all tests, or those of one contract; `whole` compiles them anew, with the contracts in them."""
        out = f"{own or 'mutate'}{'-whole' if whole else ''}"
        environment = dict(os.environ, FOUNDRY_PROFILE="mutate", SOLC_SOCKET=self.compiler(), FOUNDRY_OUT=f"out-{out}",
                           FOUNDRY_CACHE_PATH=f"cache-{out}", FOUNDRY_DYNAMIC_TEST_LINKING=str(not whole).lower())
        if own is not None:
            # `--match-path` would have forge compile everything first to see what there is.
            kept = OWN[own].split()
            others = [f"test/unit/{file.name}" for file in (ROOT / "test/unit").iterdir() if file.name[:-6] not in kept]
            environment["FOUNDRY_SKIP"] = json.dumps([*SKIPPED, "test/Vectors.t.sol", *others])
        command = ["sh", "-c", f'ulimit -t {LOOPS}; exec "$0" test --fail-fast', str(FORGE)]
        done = subprocess.run(command, cwd=self.contracts, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    @contextlib.contextmanager
    def changed(self, mutant):
        file = self.contracts / mutant.file
        text = file.read_bytes()
        file.write_bytes(text[: mutant.start] + mutant.new.encode() + text[mutant.end:])
        try:
            yield
        finally:
            file.write_bytes(text)

    def judge(self, mutant, explained):
        """Runs ever more tests until one fails."""
        own = mutant.contract
        runs = [(own, False), (None, False)]
        if not explained:
            # A test that makes a contract only to see it refuse still has the old one in itself.
            runs.append((own, True))
        for run in runs:
            if run not in self.sound:
                code, output = self.forge(*run)
                if code != 0:
                    raise Unsound(f"{output}\nThe tests fail without a mutant.")
                self.sound.add(run)
            with self.changed(mutant):
                code, output = self.forge(*run)
            if code == 0:
                continue
            if "Compiler run failed" in output:
                return NOT_COMPILED
            if "[FAIL" in output or -code in TOO_LONG:
                return CAUGHT
            raise Unsound(f"{output}\nforge ended with {code}, and no test of a mutant failed.")
        return LIVES


class Unsound(Exception):
    """The tests fail as they are, or did not run: nothing can be said of a mutant."""


def main():
    parser = argparse.ArgumentParser(description="Mutation testing of the contracts")
    parser.add_argument("contracts", nargs="*", help="only these", metavar="CONTRACT")
    parser.add_argument("--list", action="store_true", help="only count the mutants")
    parser.add_argument("--again", help="only what lived in the run whose output this is", metavar="FILE", type=pathlib.Path)
    options = parser.parse_args()
    names = options.contracts or CONTRACTS
    for name in names:
        if name not in CONTRACTS:
            parser.error(f"there is no contract {name}; there are {', '.join(CONTRACTS)}")
    known = listed(LIST)
    again = listed(options.again) if options.again else None
    os.environ["PATH"] = f"{FORGE.parent}:{os.environ['PATH']}"
    with contextlib.ExitStack() as stack:
        copies = []
        for _ in range(os.cpu_count() or 1):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))
            copies.append(Copy(pathlib.Path(folder).resolve()))
            stack.callback(copies[-1].end)
        return run(options, names, known, again, copies)


def run(options, names, known, again, copies):
    os.chdir(copies[0].contracts)
    os.environ["SOLC_SOCKET"] = copies[0].compiler()
    todo = mutants(copies[0].contracts, names)
    if again is not None:
        todo = [mutant for mutant in todo if row(mutant) in again]
    print(f"{len(todo)} mutants of {', '.join(names)}", flush=True)
    if options.list:
        print(collections.Counter((m.contract, m.mutator) for m in todo))
        return 0
    began = time.monotonic()
    total, lived = judge_all(todo, known, copies)
    score("all", total)
    print(f"{time.monotonic() - began:.0f} s, {total[NOT_COMPILED]} more did not compile")
    if again is None:
        for key in known:
            if key[0] in names and key not in lived:
                print("no longer lives, take it out of mutation.md:", " | ".join(key))
    unexplained = [key for key in lived if key not in known]
    for contract, mutator, old, new in unexplained:
        print(f"| {contract} | {mutator} | `{old}` | `{new}` | ? |")
    print(f"mutation score: {total[CAUGHT]} of {total[CAUGHT] + total[LIVES]} caught, {len(unexplained)} not explained")
    return 1 if unexplained else 0


def judge_all(todo, known, copies):
    """Judges the mutants of several contracts at a time, those of the contract with most first.

    Returns how many were caught, live or do not compile, and the rows of those that live.
    """
    groups = [list(group) for _, group in itertools.groupby(todo, lambda mutant: mutant.contract)]
    groups.sort(key=len, reverse=True)
    free = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def judge(group):
        copy = free.get()
        try:
            return judge_contract(group, known, copy)
        finally:
            free.put(copy)

    total, lived = collections.Counter(), {}
    with concurrent.futures.ThreadPoolExecutor(len(copies)) as pool:
        waiting = [pool.submit(judge, group) for group in groups]
        try:
            for ended in concurrent.futures.as_completed(waiting):
                count, rows = ended.result()
                total.update(count)
                lived.update(dict.fromkeys(rows))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for copy in copies:
                copy.ended = True
            raise
    return total, lived


def judge_contract(group, known, copy):
    count, dead_lines, lived = collections.Counter(), set(), []
    for number, mutant in enumerate(group, 1):
        if copy.ended:
            break
        if mutant.line in dead_lines:
            continue
        key = row(mutant)
        verdict = copy.judge(mutant, key in known)
        count[verdict] += 1
        if verdict == LIVES:
            if mutant.mutator == "CR":
                dead_lines.add(mutant.line)
            lived.append(key)
            name, mutator, old, new = key
            print(f"{number}/{len(group)} {name}.sol:{mutant.line} [{mutator}] `{old}` ==> `{new}` lives: "
                  f"{known.get(key, 'NOT EXPLAINED')}", flush=True)
    score(group[0].contract, count)
    return count, lived


def score(name, count):
    mutated = count[CAUGHT] + count[LIVES]
    share = 100 * count[CAUGHT] / mutated if mutated else 100
    print(f"{name:<20} {mutated:>4} mutants {count[CAUGHT]:>4} caught {count[LIVES]:>4} live  {share:.1f} %", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unsound as unsound:
        sys.exit(str(unsound))
