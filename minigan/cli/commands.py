"""The commands: each calls a function of the library and prints its result."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigan import runs
from minigan._names import ConfigError
from minigan._terms import as_options
from minigan.cli.support import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, parse_options, parse_overrides, say
from minigan.ops.compiling import watch
from minigan.recipes import RECIPES, Recipe, get_recipe
from minigan.recipes.find import load_all_registered
from minigan.training import ProgressBar, RunError, read_json

LEARNING_RATES = ("lr", "lr_G", "lr_D")
"""The hyper-parameters of recipes that are learning rates."""


def recipes(_args: Any) -> int:
    """Print the table of recipes and the hyper-parameters of the evaluation classifiers."""
    from minigan.classifier import CLASSIFIERS

    print(f"{'recipe':<16}{'G':>12}{'D':>12}  {'from':<26}about")  # two generators count as one
    for recipe in RECIPES.values():
        print(_row(recipe))
    for found in load_all_registered(RECIPES):
        if isinstance(found, ConfigError):
            say(f"minigan recipes: {found}")
            continue
        try:
            print(_row(found))
        except Exception as error:  # of another package
            say(f"minigan recipes: recipe {found.name!r}: {type(error).__name__}: {error}")
    print("\nclassifiers of `minigan evaluate`")
    for data, config in CLASSIFIERS.items():
        print(f"{data:<16}" + ", ".join(f"{key} = {value}" for key, value in vars(config).items()))
    return EXIT_OK


def _row(recipe: Recipe) -> str:
    """Return the line of a recipe in the table."""
    config = recipe.Config()
    sizes = {"G": 0, "D": 0}
    for name, net in zip(recipe.players(config), recipe.networks(config), strict=True):
        sizes["D" if name[0] == "D" else "G"] += net.theta.size + net.state_size
    G, D = sizes.values()
    return f"{recipe.name} {G:>{max(1, 27 - len(recipe.name))},}{D:>12,}  {recipe.source:<24}  {recipe.about}"


def summary(args: Any) -> int:
    """Print the networks and the hyper-parameters of a recipe."""
    recipe = get_recipe(args.recipe)
    config = recipe.configure(parse_overrides(args))
    players, networks = recipe.players(config), recipe.networks(config)
    print(f"{recipe.name}: {recipe.about}")
    for (name, player), net in zip(players.items(), networks, strict=True):
        print(f"\n{name} (ends in logits)" if name.startswith("D") else f"\n{name}")
        net.summary(player.input_shape)
    print("\nhyper-parameters (--set KEY=VALUE)")
    for key, value in vars(config).items():
        print(f"  {key} = {value}")
    return EXIT_OK


def train(args: Any) -> int:
    """Train a recipe and print the summary."""
    with _compilation_announced("train"):
        result = runs.train_recipe(
            args.recipe, seed=args.seed, overrides=parse_overrides(args), dtype=args.dtype, ops=args.ops,
            options=parse_options(args), data_dir=args.data_dir, out=args.out,
            callbacks=[ProgressBar(terms=as_options)], checkpoint_every=args.checkpoint_every,
        )  # fmt: skip
    return _ended("train", result)


def resume(args: Any) -> int:
    """Continue a run and print the summary."""
    with _compilation_announced("resume"):
        result = runs.resume_run(
            args.run, iterations=args.iterations, checkpoint=args.checkpoint, data_dir=args.data_dir,
            callbacks=[ProgressBar(terms=as_options)], recipe=args.recipe,
        )  # fmt: skip
    return _ended("resume", result)


@contextmanager
def _compilation_announced(command: str) -> Iterator[None]:
    """Print a line when the first kernel is compiled, unless a progress bar shows it."""
    once: list[str] = []

    def announce(name: str) -> None:
        if not once:
            once.append(name)
            say(f"minigan {command}: compiling kernels, once for this machine (`minigan warmup` compiles all of them)")

    stop = watch(announce)
    try:
        yield
    finally:
        stop()


def _ended(command: str, result: dict[str, Any]) -> int:
    print(describe(result))
    if result["status"] == "diverged":
        settings = read_json(Path(result["folder"]) / "config.json")["settings"]
        rates = [name for name in settings if name in LEARNING_RATES]
        options = " and ".join(f"--set {name}=..." for name in rates)
        say(f"minigan {command}: {result['error']} ({options}; --dtype float64)")
        return EXIT_FAILED
    return EXIT_INTERRUPTED if result["status"] == "interrupted" else EXIT_OK


def describe(result: dict[str, Any]) -> str:
    """Format the summary of a run as text."""
    lines = [
        f"{result['recipe']}: {result['status']} after {result['iterations']} iterations, {result['seconds']:.1f} s, "
        f"seed {result['seed']}"
    ]
    if "resumed" in result:
        lines.append("resumed from   iteration " + ", ".join(str(r["iteration"]) for r in result["resumed"]))
    if "generator" in result:
        g, target = result["generator"], result["target"]
        lines.append(
            f"generator      mean {g['mean']:.4f}   std {g['std']:.4f}   (data: {target['mean']:g}, {target['std']:g})"
        )
        lines.append(
            f"JSD            {result['jsd']:.6f} nats   (0 where p_g = p_data, at most log 2 = {math.log(2):.6f})"
        )
        lines.append(f"V(D)           {result['value']:.6f}   C(G) = V(D*) {result['value_optimal']:.6f}")
        lines.append(f"-log 4         {-math.log(4):.6f}   (the minimum of C(G), where p_g = p_data)")
    else:
        lines += [f"{name:<15}{value:.6f}" for name, value in result["metrics"].items()]
    if {"modes", "reverse_kl", "weights"} <= result.keys():
        lines.append(_modes(result))
    if "label_accuracy" in result:
        share, n = result["label_accuracy"], result["label_samples"]
        lines.append(f"label accuracy {share:.2%} (the classifier reads the requested class in {n:,} samples)")
    for name, one in result.get("translations", {}).items():
        numbers = ", ".join(f"{key.replace('_', ' ')} {value:.4f}" for key, value in one.items())
        lines.append(f"{name.replace('_', ' '):<15}{numbers}   (test examples)")
    folder = Path(result["folder"])
    pictures = sorted(p for p in folder.iterdir() if p.suffix in (".gif", ".png") and not p.name.startswith("samples_"))
    lines.append(f"run folder     {folder}")
    lines += [f"               {path}" for path in pictures]
    return "\n".join(lines)


def _modes(result: dict[str, Any]) -> str:
    """Return the line about the modes that samples reach."""
    if not math.isfinite(result["modes"]):
        return "modes          unknown: samples are not finite"
    average = ", averaged generator" if result["weights"] != "generator.npz" else ""
    quality = f", {result['high_quality']:.2%} high quality" if "high_quality" in result else ""
    return (
        f"modes          {result['modes']} of {result['modes_of']}{quality}, "
        f"reverse KL {result['reverse_kl']:.4f} nats   ({result['samples']:,} samples{average})"
    )


def sweep(args: Any) -> int:
    """Train a recipe with many seeds; print and write the table."""
    result = runs.sweep(
        args.recipe, seeds=args.seeds, workers=args.workers, overrides=parse_overrides(args), dtype=args.dtype,
        ops=args.ops, options=parse_options(args), data_dir=args.data_dir, out=args.out, folder=True,
        on_seed_end=lambda one: say(f"seed {one['seed']}: {one['status']}"),
    )  # fmt: skip
    print(result)
    if result.summaries:
        print(result.path)
    if result.status == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.failures else EXIT_OK


def table(args: Any) -> int:
    """Make or continue the table of a protocol and print it; or list the protocols."""
    if args.list or args.table is None:
        return _list_tables()
    from minigan.tables import make_table

    def ended(one: Mapping[str, Any]) -> None:
        said = one.get("error") or ", ".join(f"{name} {value:.6g}" for name, value in one["values"].items())
        say(f"{one['label']}, seed {one['seed']}: {one['status']}: {said}")

    result = make_table(
        args.table, seeds=args.seeds, rows=args.rows, iterations=args.iterations, workers=args.workers,
        checkpoint_every=args.checkpoint_every, data_dir=args.data_dir, out=args.out, on_run_end=ended, log=say,
    )  # fmt: skip
    print(f"{result}\n{result.path}")
    if result.status == "interrupted":
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.failures else EXIT_OK


def _list_tables() -> int:
    from minigan.tables import PROTOCOLS

    print(f"{'table':<20}{'seeds':>5}  rows (--rows)")
    for protocol in PROTOCOLS.values():
        print(f"{protocol.name:<20}{protocol.seeds:>5}  {', '.join(row.label for row in protocol.rows)}")
        print(f"{'':<27}{protocol.about}")
    return EXIT_OK


def sample(args: Any) -> int:
    """Draw samples from the generator of a run and write them to a file."""
    recipe, config, _ = runs.load_config(args.run, recipe=args.recipe)
    as_image = recipe.has_pictures(config) and not str(args.out or "").endswith(".npy")
    path = Path(args.out) if args.out else _free_path(Path(args.run), ".png" if as_image else ".npy")
    if path.suffix not in (".npy", ".png") or (path.suffix == ".png" and not as_image):
        raise RunError(f"--out {path}; expected a name ending in .npy" + (" or .png" if as_image else ""))
    x = runs.sample(args.run, n=args.n, seed=args.seed, label=args.label, raw=args.raw, recipe=args.recipe)
    written = runs.write_samples(path, recipe, x, config=config)
    if x.shape[1:] == (1,):
        print(f"{args.n} samples: mean {x.mean(dtype=float):.4f}, std {x.std(dtype=float):.4f}")
    weights = "generator.npz" if recipe.translator else runs.generator_file(args.run, raw=args.raw).name
    if weights != "generator.npz":
        print(f"drawn from the averaged generator, {weights} (--raw: from generator.npz)")
    print(written)
    return EXIT_OK


def evaluate(args: Any) -> int:
    """Compare the samples of a run with real test images; print and write the table."""
    from minigan.evaluation import evaluate as measure
    from minigan.evaluation import write_evaluation

    found = measure(
        args.run, n=args.n, seed=args.seed, data_dir=args.data_dir, classifier=args.classifier, log=say, raw=args.raw,
        recipe=args.recipe,
    )  # fmt: skip
    print(f"{found}\n\n{write_evaluation(args.run, found)}")
    return EXIT_OK


def animate(args: Any) -> int:
    """Draw runs of `ring8` or `grid25` side by side as an animation."""
    from minigan import plots

    path = Path(args.out)
    if path.suffix != ".gif":
        raise RunError(f"--out {path}; expected a name ending in .gif")
    if path.exists():
        raise RunError(f"{path} exists; expected a new file")
    try:
        print(plots.mixture_animation(args.runs, path, labels=args.labels, frames=args.frames))
    except ValueError as error:  # of the number of runs or titles
        args.parser.error(str(error))
    return EXIT_OK


def warmup(args: Any) -> int:
    """Compile the kernels of recipes and print where they are stored."""
    from tqdm import tqdm

    start = time.monotonic()
    with tqdm(desc="finding the kernels", unit="kernel", disable=None, leave=False) as bar:

        def show(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_description_str(f"compiled {name}", refresh=False)
            bar.update(done - bar.n)

        found = runs.warm_up(args.recipes, dtype=args.dtype, on_kernel=show)
    for name, reason in found.skipped.items():
        say(f"minigan warmup: {name} is left out: {reason}")
    print(f"{found.kernels} kernels, {found.compiled} of them compiled now; {time.monotonic() - start:.1f} s")
    for folder in found.folders:
        print(folder)
    return EXIT_OK


def _free_path(folder: Path, suffix: str) -> Path:
    number = 1
    while (path := folder / f"samples-{number:03d}{suffix}").exists():
        number += 1
    return path


COMMANDS = {
    "recipes": recipes,
    "summary": summary,
    "train": train,
    "resume": resume,
    "sweep": sweep,
    "table": table,
    "sample": sample,
    "evaluate": evaluate,
    "animate": animate,
    "warmup": warmup,
}
