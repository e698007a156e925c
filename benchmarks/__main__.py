"""``python -m benchmarks``: the command line."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import generator, limits, micro, record, redis, trouble
from benchmarks.contenders import KNOWN
from benchmarks.ground import Session
from benchmarks.load.own import GeneratorError
from benchmarks.load.programs import CompileError
from benchmarks.processes import CONTENDER_CORE, LOAD_CORE
from benchmarks.scenarios import Result, Scenario, Wish, every, self_check


def names(text: str) -> list[str]:
    """A list written with commas."""
    return [name for name in text.split(",") if name]


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Side by side with nginx, Envoy and Caddy. Instead of options: 'micro [NAME]', single functions; "
        "'generator', figures of tidegate bench itself; "
        f"{', '.join(trouble.KNOWN)}: figures of a gateway in trouble; {', '.join(redis.KNOWN)}: of the link to Redis.",
    )
    parser.add_argument("--only", type=names, action="extend", metavar="NAME,...", help="only these scenarios")
    parser.add_argument("--contenders", type=names, metavar="NAME,...", help=f"of {', '.join(KNOWN)}")
    parser.add_argument("--rounds", type=int, default=12, help="alternated rounds of each contender (12)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round (1)")
    parser.add_argument("--generator", choices=("own", "wrk"), default="own", help="load of the keep-alive scenarios")
    parser.add_argument("--self-check", action="store_true", help="nginx against itself, which must give 1.00 ± 0.05")
    parser.add_argument("--no-instructions", action="store_true", help="do not count instructions with perf")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, raw rounds included")
    parser.add_argument("--record", action="store_true", help=f"put the tables into {record.RESULTS.name}")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    return parser.parse_args(argv)


def chosen(options: argparse.Namespace) -> list[Scenario]:
    """The scenarios asked for; exits with a line when there is no such one."""
    if options.self_check:
        return [self_check()]
    known = {scenario.name: scenario for scenario in every(options.generator)}
    unknown = [name for name in options.only or () if name not in known]
    if unknown:
        sys.exit(f"no scenario {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in options.only or known]


def main(argv: Sequence[str]) -> int:
    """Runs what was asked for; 1 when there is nothing to show for it."""
    if argv and argv[0] == "micro":
        return micro.main(argv[1:])
    if argv and argv[0] == "generator":
        return generator.main(argv[1:])
    if argv and argv[0] in trouble.KNOWN:
        return trouble.KNOWN[argv[0]](argv[1:])
    if argv and argv[0] in redis.KNOWN:
        return redis.KNOWN[argv[0]](argv[1:])
    if argv and argv[0] in limits.KNOWN:
        return limits.KNOWN[argv[0]]()
    options = arguments(argv)
    scenarios = chosen(options)
    if options.list:
        print("\n".join(f"{scenario.name:<14} {scenario.title}" for scenario in scenarios))
        return 0
    wrong = [name for name in options.contenders or () if name not in KNOWN]
    if wrong:
        sys.exit(f"no contender {', '.join(wrong)}; there are {', '.join(KNOWN)}")
    if CONTENDER_CORE == LOAD_CORE:
        sys.exit("two cores are needed, one for the contender and one for the load and the upstream; there is one")
    wish = Wish(
        rounds=options.rounds,
        seconds=options.seconds,
        contenders=tuple(options.contenders or ()),
        instructions=not options.no_instructions,
        progress=sys.stderr.isatty(),
    )
    os.sched_setaffinity(0, {LOAD_CORE})  # so that this process never runs on the contender's core
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results: list[Result] = []
    try:
        with Session() as session:
            for scenario in scenarios:
                result = scenario.run(session, wish)
                results.append(result)
                print(result, end="\n\n", flush=True)
            facts = record.circumstances(session.seen, ["python -m benchmarks", *argv])
    except (CompileError, GeneratorError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    if options.json:
        record.write_json(options.json, facts, results)
    if options.record:
        text = record.RESULTS.read_text() if record.RESULTS.exists() else "# Results\n"
        record.RESULTS.write_text(record.update(text, record.section(facts, results)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
