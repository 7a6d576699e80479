"""Tables: our figures over seeds beside the published ones, as JSON and Markdown.

    table = make_table("gaussian", seeds=4)
    print(table)

This does the work of `minigan table`.  A table is a folder, which the same call continues after an interruption:

    runs/tables/gaussian/table.json           all figures, with the values of every seed
    runs/tables/gaussian/table.md             the same as a page, made from table.json
    runs/tables/gaussian/ours/seed-000/001    a run folder of each row and seed, as `minigan train` writes it

`minigan.tables.protocol`    what a table consists of
`minigan.tables.protocols`   the published protocols
`minigan.tables.making`      train what is missing, and write the table
"""

from minigan.tables.making import make_table
from minigan.tables.protocol import Column, Control, Ours, Protocol, Published
from minigan.tables.protocols import PROTOCOLS, get_protocol
from minigan.tables.report import Table

__all__ = [
    "PROTOCOLS",
    "Column",
    "Control",
    "Ours",
    "Protocol",
    "Published",
    "Table",
    "get_protocol",
    "make_table",
]
