"""Says what is wrong with the settings, in a line for each."""

from pydantic import ValidationError
from pydantic_settings import SettingsError

from config.settings import PREFIX


def setting_faults(wrong: ValidationError | SettingsError) -> list[str]:
    """Return the wrong variables and the rule that each breaks, but never their values."""
    if not isinstance(wrong, ValidationError):
        return [str(wrong)]
    return [
        f"{PREFIX}{'__'.join(str(part) for part in fault['loc']).upper()}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in wrong.errors(include_url=False, include_input=False, include_context=False)
    ]
