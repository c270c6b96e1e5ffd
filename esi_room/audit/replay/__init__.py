"""A record, said again: the same lines, the states as they were, at the pace of then or another.

    entries -> axis (when) -> script (what is published, pure) -> player (the broker, the pace)

The script is a function of the record alone, so that two replays of one record are the same to the last octet. Nothing
of it goes where the room's own messages go: everything stands below `esi/<room>/replay/<session>/`.
"""
