"""Errors a user can mend, told in one line."""


class InputError(Exception):
    """Wrong input: what, where and what to do. The command line prints the message without a traceback, exit 2."""


class NotDrivable(InputError):
    """A scene that is read but cannot be driven; listed with the reason, never fatal for the others."""


class Untrusted(InputError):
    """This machine gets known answers wrong: what it would score is worth nothing, so a sweep stops."""


class MetricFailure(Exception):
    """A metric broke its contract: a technical failure, neither the planner's nor the input's."""


class PlannerFailure(Exception):
    """The planner broke its contract: raised, hung, or returned something that is no plan. A result, not a bug."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause
