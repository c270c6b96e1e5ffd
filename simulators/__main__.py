"""`python -m simulators`."""

import signal

# Importing takes a moment. Until the event loop takes the signals over, Ctrl-C ends the process and prints nothing.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from simulators.cli import main  # noqa: E402

if __name__ == "__main__":
    main(prog_name="python -m simulators")
