"""The published protocols of `minigan table`."""

from minigan._names import ConfigError, unknown
from minigan.tables.modes import GRID25, RING8, STACKED_MNIST
from minigan.tables.protocol import STANDARD_DEVIATION, Column, Control, Ours, Protocol, Published

GOODFELLOW = "Goodfellow et al. 2014, Table 1, arXiv:1406.2661; ±: standard error over test examples, one model"

GAUSSIAN = Protocol(
    name="gaussian",
    about="N(0, 1) to N(4, 2^2): how far the generator's distribution is from the data's.",
    columns=(
        Column("mean", "mean (data: 4)", "summary.generator.mean", digits=3),
        Column("std", "std (data: 2)", "summary.generator.std", digits=3),
        Column("jsd", "JSD, nats", "summary.jsd", digits=5),
    ),
    rows=(
        Ours("ours", "ours", "gaussian"),
        Ours("notebook", "the notebook's 200 iterations", "gaussian", {"iterations": 200}),
    ),
    published=(
        Published(
            "the optimum",
            {"mean": "4", "std": "2", "jsd": "0"},
            "Goodfellow et al. 2014, Theorem 1, arXiv:1406.2661: p_g = p_data",
        ),
    ),
    seeds=20,
    spread=STANDARD_DEVIATION,
    notes=("The notebook (S1 in README.md) shows pictures of its run, and no figures.",),
)

PARZEN_CONTROLS = {
    "10,000 real training images": "real training images",
    "clipped Gaussian": "clipped Gaussian",
    "mean image": "mean image",
}
"""The titles of rows, and the names of controls (`minigan.evaluation.parzen_controls`)."""

PARZEN = Protocol(
    name="parzen",
    about="Parzen-window log-likelihood of MNIST's 10,000 test images: 10,000 samples in [0, 1], sigma from "
    "logspace(-1, 0, 10) on 1000 validation images (Goodfellow et al. 2014, section 5).",
    columns=(
        Column("log_likelihood", "log-likelihood, nats", "evaluation.parzen.samples.log_likelihood.value", digits=1),
        Column("standard_error", "its standard error", "evaluation.parzen.samples.standard_error", digits=1),
        Column("sigma", "sigma", "evaluation.parzen.samples.sigma", digits=3),
    ),
    rows=(Ours("ours", "ours", "mnist-maxout"),),
    controls=tuple(
        Control(
            title,
            {
                "log_likelihood": f"evaluation.parzen.{name}.log_likelihood.value",
                "standard_error": f"evaluation.parzen.{name}.standard_error",
                "sigma": f"evaluation.parzen.{name}.sigma",
            },
        )
        for title, name in PARZEN_CONTROLS.items()
    ),
    published=(
        Published("10,000 centres of k-means", {"log_likelihood": "334"}, "docs/evaluation.md"),
        Published("DBN", {"log_likelihood": "138 ± 2"}, GOODFELLOW),
        Published("stacked CAE", {"log_likelihood": "121 ± 1.6"}, GOODFELLOW),
        Published("deep GSN", {"log_likelihood": "214 ± 1.1"}, GOODFELLOW),
        Published("GAN", {"log_likelihood": "225 ± 2"}, GOODFELLOW),
    ),
    seeds=3,
    spread=STANDARD_DEVIATION,
    notes=(
        "A figure above that of real images does not mean better samples: centres of k-means, which are blurred, "
        "have the highest.",
    ),
    classifier="mnist",
)

IMAGE_COLUMNS = (
    Column("frechet", "classifier Frechet distance", "evaluation.samples.classifier_frechet_distance"),
    Column("precision", "precision", "evaluation.samples.precision", digits=3),
    Column("recall", "recall", "evaluation.samples.recall", digits=3),
)
REAL = {
    "frechet": "evaluation.control.classifier_frechet_distance",
    "precision": "evaluation.control.precision",
    "recall": "evaluation.control.recall",
}
OWN_CLASSIFIER = (
    "The features are those of our own classifier, not Inception's, so the distance is no FID (docs/evaluation.md)."
)

CONDITIONAL = Protocol(
    name="mnist-conditional",
    about="Digits on request: the share of 10,000 samples in which our classifier reads the requested digit.",
    columns=(
        Column("label_accuracy", "requested digit read, %", "summary.label_accuracy", digits=2, percent=True),
        *IMAGE_COLUMNS,
    ),
    rows=(Ours("ours", "ours", "mnist-conditional"),),
    controls=(Control("real test images", {"label_accuracy": "evaluation.accuracy_on_control", **REAL}),),
    seeds=5,
    spread=STANDARD_DEVIATION,
    notes=(OWN_CLASSIFIER,),
    classifier="mnist",
)

CYCLEGAN = Protocol(
    name="cyclegan-toy",
    about="CycleGAN (Zhu et al. 2017) between two small domains whose right translation is known: the worse direction.",
    columns=(
        Column("labels_kept", "labels kept, %", "summary.labels_kept", percent=True),
        Column("cycle_error", "cycle error", "summary.cycle_error", digits=3),
        Column("identity_error", "identity error", "summary.identity_error", digits=3),
    ),
    rows=(
        Ours("points", "points", "cyclegan-toy"),
        Ours("digits", "digits", "cyclegan-toy", {"data": "mnist"}),
        Ours(
            "digits-without-identity",
            "digits, no identity term",
            "cyclegan-toy",
            {"data": "mnist", "identity": 0.0, "iterations": 500},
        ),
    ),
    seeds=5,
    spread=STANDARD_DEVIATION,
    notes=(
        "No figures are published for these domains; the bounds of docs/cyclegan.md are at least 95 % of the labels "
        "and a cycle error below 0.15.",
    ),
    classifier="mnist",
)

FAST = Protocol(
    name="mnist-fast",
    about="The best digits that two processor cores learn in minutes: 10,000 samples beside 10,000 real test images.",
    columns=IMAGE_COLUMNS,
    rows=(
        Ours("ours", "ours", "mnist-fast"),
        Ours("maxout", "the 2014 paper's model", "mnist-maxout"),
        Ours("conditional", "the conditional model", "mnist-conditional"),
    ),
    controls=(Control("real test images", REAL),),
    seeds=5,
    spread=STANDARD_DEVIATION,
    notes=(
        OWN_CLASSIFIER,
        "No figures are published for this classifier, so the rows below ours are our other recipes.",
    ),
    classifier="mnist",
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (GAUSSIAN, RING8, GRID25, STACKED_MNIST, PARZEN, FAST, CONDITIONAL, CYCLEGAN)
}


def get_protocol(name: str) -> Protocol:
    """Return a protocol by name.

    Parameters
    ----------
    name : str
        A key of `PROTOCOLS`.

    Returns
    -------
    Protocol
        The protocol.

    Raises
    ------
    ConfigError
        If there is no protocol of that name; the message suggests the most similar name.

    """
    if name not in PROTOCOLS:
        raise ConfigError(unknown("table", name, PROTOCOLS))
    return PROTOCOLS[name]
