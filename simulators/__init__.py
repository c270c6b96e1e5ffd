"""The room without hardware: devices that speak the real wires, for the demo, for tests and for a bench.

Nothing here imports `esi_room`, and nothing there imports this: the two ends of a wire are written
separately, from the makers' documents and the vectors, so that one misunderstanding cannot hide in both.
"""
