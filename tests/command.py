"""The command line as a test calls it."""

from minigan.cli import main


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    try:
        status = main(list(arguments))
    except SystemExit as left:
        status = left.code
    return (status, *capsys.readouterr())
