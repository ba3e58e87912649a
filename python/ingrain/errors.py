"""What ingrain refuses: exceptions whose text is for people, and the same as of the C++ library and the program."""


class Error(RuntimeError):
    """Something outside of the program is wrong: a file, a field of it, the machine. The text names it and the remedy."""


class UsageError(Error, ValueError):
    """A call cannot be done as it was asked for."""


class OptionError(UsageError):
    """An option is not known, out of range, or cannot be had here.

    option: its name, as the call has it. reason: goes on from the name ("is 0; it must be at least 1").
    """

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option} {reason}")
        self.option = option
        self.reason = reason

    def __reduce__(self) -> tuple[type["OptionError"], tuple[str, str]]:
        return OptionError, (self.option, self.reason)
