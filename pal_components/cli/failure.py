"""What ends a command with one clear line."""


class CommandError(Exception):
    """A command cannot go on; the message says what to do, without a traceback."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
