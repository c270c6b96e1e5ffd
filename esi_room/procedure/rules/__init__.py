"""The rules R1 to R18, as pure functions over the facts.

book      the file: which are on, severity, parameters, source
table     rule -> function and parameters
before    drugs    needle    watch       the functions, by what they look at
verdict   what a rule says, and what several of them ask of the facts
alerts    from what the rules say to alerts raised and cleared

A rule looks at facts and parameters alone, names the seqs that led to what it finds, says what it lacks instead of
passing in silence, and never stops anything.
"""

from esi_room.procedure.rules.alerts import Kept, not_assessable, what_follows
from esi_room.procedure.rules.book import DEFAULT, Book, RuleData, load
from esi_room.procedure.rules.table import RULES

__all__ = ["DEFAULT", "RULES", "Book", "Kept", "RuleData", "load", "not_assessable", "what_follows"]
