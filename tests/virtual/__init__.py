"""The whole room in one process and in a time of its own, for tests: half an hour in seconds, and always the same.

    from virtual.room import play

    played = play("quick", tmp_path)
    assert played.refused == []
    assert played.alerts() == []

`Played` has every entry of every record, what really happened (the simulators' truth log) and what was published.

The daemon is `esi_room.room.room.Room` as it is, the case `simulators.room.SimulatedRoom` as it is. Between them there
is no network, no pty, no process and no thread: what stands there instead is in these files.

loop      time: the clocks and the event loop that makes them go on
world     what else would differ from one run to the next: chance, the disk's pace, the kernel's word on its clock
cables    serial lines
mqtt      the broker
helpers   the daemon's helper processes (the DICOM listener among them)
dicom     the C-arm's network node
room      `play`
"""
