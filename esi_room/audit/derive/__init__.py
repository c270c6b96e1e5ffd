"""A record, derived again: from the bytes on its wires what the devices said, and from its entries what follows.

    wire/<device>.jsonl -> wires -> deriving (a fresh driver) -> comparing <- journal.jsonl

Whatever differs is a difference, be it that the record was written wrongly or that a driver reads otherwise today: it
is the regression test of every driver, on every record that was ever kept.
"""
