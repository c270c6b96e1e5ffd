"""The worklist: what is scheduled in this room, and which of it is carried out (PS3.4 annex K). C-FIND is answered
in `listener.worklist` and asked in `caller.query`.

orders    in the daemon: the order book; file: its file; sources: the folder and the hospital fill it
items     an order as a worklist item; keys: the attributes of one
"""
