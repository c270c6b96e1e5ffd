"""Every object and every frame on the room's one clock.

offset      how far the devices' clocks are off, from what they send
placing     when an object was taken, and in which record
timeline    which image was on at a moment, and when any frame was taken; frames: for whoever asks
"""
