"""What goes wrong in a training of G and D, said in plain words from the measurements of the training.

    for finding in diagnose(history, objective=minigan.NonSaturating()):
        print(finding)

`minigan.training.Diagnosis` does this during a run.  The series of measurements is divided into blocks
(`minigan.diagnosis.blocks`); the rules (`minigan.diagnosis.rules`) look at the last blocks and return the kinds of
failure that they show; costs are compared with what the objective can reach (`minigan.diagnosis.costs`).
"""

from minigan.diagnosis.blocks import Block, block_length
from minigan.diagnosis.costs import CostCurves, cost_curves
from minigan.diagnosis.findings import KINDS, Finding, Kind
from minigan.diagnosis.rules import symptoms
from minigan.diagnosis.series import Diagnoser, diagnose

__all__ = [
    "KINDS",
    "Block",
    "CostCurves",
    "Diagnoser",
    "Finding",
    "Kind",
    "block_length",
    "cost_curves",
    "diagnose",
    "symptoms",
]
