"""Certify a run folder of a recipe with normal data, and find the folder of a certificate again."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from minigan._names import ConfigError
from minigan.network import Network
from minigan.recipes import Recipe, RunOptions, get_recipe
from minigan.recipes.find import registered
from minigan.runs.stored import read_config
from minigan.training import RunError, read_arrays, read_json
from minigan.training.files import PathLike
from verify.densities import Normal
from verify.engine.registry import Claim
from verify.trained.logit import discriminator
from verify.trained.pair import DIGITS, Optimality, certify_pair, claim_about, model

WEIGHTS = ("generator.npz", "discriminator.npz")
EXPECTED = (
    "expected a run of 'gaussian', or of a registered recipe with normal_data (recipe=MODULE:OBJECT if it is not "
    "registered); for other networks of one input: verify.trained.certify_networks"
)
FOLDER = "run folder"  # key of the note with its path, relative to the file of the certificate


def certify_run(run: PathLike, *, digits: int = DIGITS, recipe: Recipe | str | None = None) -> Optimality:
    """Certify a run folder of the recipe `gaussian`, or of another recipe with `normal_data`.

    Parameters
    ----------
    run : str or Path
        The run folder.
    digits : int
        The largest radius is 10^-digits; by default 30.
    recipe : Recipe or str, optional
        The recipe of the run, if it is neither built in nor registered, as for `minigan.runs.load_config`.

    Returns
    -------
    Optimality
        The numbers, and a certificate that contains the checksums of the weights it is about.

    Raises
    ------
    RunError
        If a file is missing or invalid, or the run is of another recipe.
    ConfigError
        If `recipe` cannot be imported, or is not the recipe of the run.
    NotCertifiable
        If the logit of D cannot be split exactly.
    Undecided
        If a number could not be enclosed so narrowly.

    """
    p, q, D = load(run, recipe=recipe)
    found = certify_pair(p, q, discriminator(D), digits=digits)
    sums = {name: checksum(Path(run) / name) for name in WEIGHTS}
    return replace(found, certificate=replace(found.certificate, notes={**found.certificate.notes, **sums}))


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file as the text of a note."""
    return f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def claim_about_run(notes: Mapping[str, str], base_dir: Path) -> Claim:
    """Return the claim about the run that the notes of a certificate name, relative to the folder of its file.

    ValueError if the run folder is missing, or its weights are not those that were certified.
    """
    if not {FOLDER, *WEIGHTS} <= set(notes):
        raise ValueError("its notes name no run folder with weights; expected what `verify trained RUN` writes")
    run = base_dir / notes[FOLDER]
    for name in WEIGHTS:
        try:
            found = checksum(run / name)
        except OSError as error:
            raise ValueError(
                f"its weights cannot be read: {run / name}: {error.strerror}; expected the certified run folder, "
                f"{notes[FOLDER]!r} relative to the file of the certificate"
            ) from None
        if found != notes[name]:
            raise ValueError(
                f"{run / name} is not the file that was certified: {found}, not {notes[name]}; "
                "expected the unchanged run folder (`verify trained` certifies it again)"
            )
    try:
        p, q, D = load(run)
    except RunError as error:
        raise ValueError(str(error)) from None
    return claim_about(p, q, discriminator(D))


def load(run: PathLike, *, recipe: Recipe | str | None = None) -> tuple[Normal, Normal, Network]:
    """Return p_data, p_g and D of a run with normal data; RunError names the file that is missing or wrong."""
    folder = Path(run)
    stored = read_json(folder / "config.json")
    try:
        name, settings, dtype = stored["recipe"], stored["settings"], stored["dtype"]
        if name == "gaussian" and recipe is None:
            known = get_recipe(name)
        elif recipe is None and name not in registered():
            raise RunError(f"{folder}: a run of {name!r}; {EXPECTED}")
        else:
            known = read_config(folder, recipe=recipe)[1]
        if known.normal_data is None:
            raise RunError(f"{folder}: a run of {name!r}; {EXPECTED}")
        config = known.configure({key: str(value) for key, value in settings.items()})
        mu, sigma = known.normal_data(config)
        p = Normal(Fraction(mu), Fraction(sigma))
        G, D = known.networks(config, RunOptions(dtype=dtype))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        if isinstance(error, ConfigError) and recipe is not None:
            raise
        raise RunError(f"{folder / 'config.json'}: not the configuration of a run ({error})") from None
    for net, file in ((G, "generator.npz"), (D, "discriminator.npz")):
        try:
            net.load_parameters(read_arrays(folder / file))
        except ValueError as error:
            raise RunError(f"{folder / file}: {error}") from None
        if not np.isfinite(net.theta).all():
            raise RunError(f"{folder / file}: parameters that are not finite; expected finite numbers")
    try:
        return p, model(G), D
    except ValueError as error:
        raise RunError(f"{folder / 'generator.npz'}: {error}") from None
