"""Run the command line inside a test."""

from minigan.cli import main


def run(capsys, *arguments):
    """Return exit status, standard output and standard error."""
    try:
        status = main(list(arguments))
    except SystemExit as left:
        status = left.code
    return (status, *capsys.readouterr())
