"""Read the configuration and the networks of a run folder."""

import re
from pathlib import Path
from typing import Any

from minigan._names import ConfigError
from minigan.network import Network
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.recipes.fields import NAME
from minigan.recipes.find import registered
from minigan.training import RunError, read_arrays, read_json
from minigan.training.experiment import RECIPE_OBJECT
from minigan.training.files import PathLike


def load_config(run: PathLike, *, recipe: Recipe | str | None = None) -> tuple[Recipe, Any, str]:
    """Read config.json of a run.

    Parameters
    ----------
    run : path
        The run folder.
    recipe : Recipe or str, optional
        The recipe of the run, or a name as for `minigan.recipes.get_recipe`.  Needed if the recipe is neither built in
        nor registered by an installed package: a module that only a file of the run names is not imported, because the
        run may come from somebody else.

    Returns
    -------
    recipe : Recipe
        The recipe of the run.
    config
        The hyper-parameters of the run, a `recipe.Config`.
    dtype : str
        "float32" or "float64".

    Raises
    ------
    RunError
        If config.json is missing or is not the configuration of a run, or the recipe is needed.
    ConfigError
        If `recipe` cannot be imported, or is not the recipe of the run.

    """
    stored, found, config = read_config(run, recipe=recipe)
    return found, config, stored["dtype"]


def read_config(run: PathLike, *, recipe: Recipe | str | None = None) -> tuple[dict[str, Any], Recipe, Any]:
    """Return the content of config.json, the recipe and the configuration; raise errors as `load_config` does."""
    if Path(run).is_file():
        raise RunError(f"{run}: a file; expected its run folder, {Path(run).parent}")
    path = Path(run) / "config.json"
    stored = read_json(path)
    if not isinstance(stored, dict):
        raise RunError(f"{path}: not the configuration of a run (expected a JSON object, got {type(stored).__name__})")
    found = _stored_recipe(path, stored) if recipe is None else _given_recipe(path, stored, recipe)
    try:
        RunOptions(dtype=stored["dtype"])
        return stored, found, found.configure_stored(stored["settings"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RunError(f"{path}: not the configuration of a run ({error})") from None


def _stored_recipe(path: Path, stored: dict[str, Any]) -> Recipe:
    """Return the recipe that config.json names, if it is built in or registered; no other module is imported."""
    name, reference = stored.get("recipe"), stored.get(RECIPE_OBJECT)
    if not isinstance(name, str):
        raise RunError(f"{path}: not the configuration of a run (its recipe is {name!r}; expected a name)")
    try:
        if NAME.fullmatch(name) and not (isinstance(reference, str) and name not in registered()):
            return get_recipe(name)
    except ConfigError as error:
        raise RunError(f"{path}: {error}") from None
    known = isinstance(reference, str) and all(part.isidentifier() for part in re.split("[.:]", reference))
    raise RunError(
        f"{path}: a run of {name!r}, a recipe of a module, which is imported only if you name it; expected "
        f"recipe={reference if known else 'MODULE:OBJECT'}"
    )


def _given_recipe(path: Path, stored: dict[str, Any], recipe: Recipe | str) -> Recipe:
    """Return the recipe that the caller names; raise ConfigError if config.json has another name."""
    found = recipe if isinstance(recipe, Recipe) else get_recipe(recipe)
    if stored.get("recipe") != found.name:
        given = found.reference or found.name
        raise ConfigError(f"{path}: a run of {stored.get('recipe')!r}, but recipe={given} is named {found.name!r}")
    return found


AVERAGED = "generator-ema.npz"


def generator_file(run: PathLike, *, raw: bool = False) -> Path:
    """Return the file with the weights of a run's generator.

    Parameters
    ----------
    run : path
        The run folder.
    raw : bool
        Whether to prefer the parameters of the last iteration to their moving average; False by default.

    Returns
    -------
    Path
        generator-ema.npz if the run has averaged the generator, unless `raw`; otherwise generator.npz.

    """
    averaged = Path(run) / AVERAGED
    return averaged if averaged.is_file() and not raw else Path(run) / "generator.npz"


def load_generator(
    run: PathLike, *, raw: bool = False, recipe: Recipe | str | None = None
) -> tuple[Network, Recipe, Any]:
    """Load the generator of a run.

    Parameters
    ----------
    run : path
        The run folder.
    raw : bool
        Whether to load the parameters of the last iteration also if the run has averaged them (hyper-parameter `ema`);
        False by default, as samples of the average are usually better.
    recipe : Recipe or str, optional
        The recipe of the run, if it is neither built in nor registered, as for `load_config`.

    Returns
    -------
    G : Network
        The generator with the parameters and running statistics of the run, on the backend "cpu".
    recipe : Recipe
        The recipe of the run.
    config
        The hyper-parameters of the run, a `recipe.Config`.

    Raises
    ------
    RunError
        If a file is missing or damaged; the message names it.
    ConfigError
        As `load_config` raises it.

    """
    recipe, config, dtype = load_config(run, recipe=recipe)
    if "G" not in recipe.players(config):
        names = ", ".join(recipe.players(config))
        raise RunError(f"{run}: {recipe.name} has no generator of noise; expected load_players, which returns {names}")
    G = _network("G", recipe, config, dtype, run)
    _load(G, generator_file(run, raw=raw))
    return G, recipe, config


def load_players(run: PathLike, *, recipe: Recipe | str | None = None) -> tuple[dict[str, Network], Recipe, Any]:
    """Load the networks of a run with other players than G and D.

    Parameters
    ----------
    run : path
        The run folder.
    recipe : Recipe or str, optional
        The recipe of the run, if it is neither built in nor registered, as for `load_config`.

    Returns
    -------
    players : dict of str to Network
        The networks by the names of the players, with the parameters and running statistics of the run, on the backend
        "cpu".
    recipe : Recipe
        The recipe of the run.
    config
        The hyper-parameters of the run, a `recipe.Config`.

    Raises
    ------
    RunError
        If the run has a generator and a discriminator (see `load_generator`), or a file is missing or damaged; the
        message names it.
    ConfigError
        As `load_config` raises it.

    """
    recipe, config, dtype = load_config(run, recipe=recipe)
    names = tuple(recipe.players(config))
    if "G" in names:
        raise RunError(f"{run}: {recipe.name} has the players G and D; expected load_generator")
    players = {name: _network(name, recipe, config, dtype, run) for name in names}
    for name, net in players.items():
        _load(net, Path(run) / f"{name}.npz")
    return players, recipe, config


def _network(name: str, recipe: Recipe, config: Any, dtype: str, run: PathLike) -> Network:
    """Return the network of a player with initial parameters."""
    try:
        networks = recipe.networks(config, RunOptions(dtype=dtype))
    except ConfigError as error:
        raise RunError(f"{Path(run) / 'config.json'}: {error}") from None
    return networks[list(recipe.players(config)).index(name)]


def _load(net: Network, path: Path) -> None:
    """Load a weight file into a network."""
    if not path.is_file():
        raise RunError(f"{path}: No such file or directory: no weights yet; finish the run with `minigan resume`")
    arrays = read_arrays(path)
    state = {key: arrays.pop(key) for key in net.state if key in arrays}
    try:
        net.load_parameters(arrays)
        net.load_state(state)
    except ValueError as error:
        raise RunError(f"{path}: {error}") from None
