"""What a display is shown of an object.

previewer   in the daemon: the last image as JPEG, or a frame that was asked for
preview     the process that decodes: one frame in, a JPEG out
grey        the display pipeline of PS3.4 N.2; jpeg12: a decoder that pydicom leaves out
"""
