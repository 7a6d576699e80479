"""Certify a run folder of the recipe `gaussian`, and find the folder of a certificate again."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from minigan.network import Network
from minigan.recipes import RunOptions, get_recipe
from minigan.training import RunError, read_arrays, read_json
from minigan.training.files import PathLike
from verify.densities import Normal
from verify.engine.registry import Claim
from verify.trained.logit import discriminator
from verify.trained.pair import DIGITS, Optimality, certify_pair, claim_about, model

WEIGHTS = ("generator.npz", "discriminator.npz")
FOLDER = "run folder"  # key of the note with its path, relative to the file of the certificate


def certify_run(run: PathLike, *, digits: int = DIGITS) -> Optimality:
    """Certify a run folder of the recipe `gaussian`.

    Parameters
    ----------
    run : str or Path
        The run folder.
    digits : int
        The largest radius is 10^-digits; by default 30.

    Returns
    -------
    Optimality
        The numbers, and a certificate that contains the checksums of the weights it is about.

    Raises
    ------
    RunError
        If a file is missing or invalid, or the run is of another recipe.
    NotCertifiable
        If the logit of D cannot be split exactly.
    Undecided
        If a number could not be enclosed so narrowly.

    """
    p, q, D = load(run)
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


def load(run: PathLike) -> tuple[Normal, Normal, Network]:
    """Return p_data, p_g and D of a run folder of `gaussian`; RunError names the file that is missing or wrong."""
    folder = Path(run)
    stored = read_json(folder / "config.json")
    try:
        name, settings, dtype = stored["recipe"], stored["settings"], stored["dtype"]
        if name != "gaussian":
            raise RunError(
                f"{folder}: a run of {name!r}; expected a run of 'gaussian', the recipe whose density of the data is "
                "known (for other networks of one input: verify.trained.certify_networks)"
            )
        recipe = get_recipe(name)
        config = recipe.configure({key: str(value) for key, value in settings.items()})
        p = Normal(Fraction(config.mu), Fraction(config.sigma))
        G, D = recipe.networks(config, RunOptions(dtype=dtype))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
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
