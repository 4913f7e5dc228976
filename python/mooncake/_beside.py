"""Looks for a distribution of Mooncake in the same place, whose files and this one's overwrite each other."""

import os
import warnings


def check():
    """Warns if there is one."""
    place = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        names = [name for name in os.listdir(place) if name.startswith("mooncake_transfer_engine")]
    except OSError:
        return
    for name in names:
        if not name.endswith(".dist-info"):
            continue
        other = name[: -len(".dist-info")].rsplit("-", 1)[0].replace("_", "-")
        warnings.warn(
            f"The distributions 'moonrail' and '{other}' are both installed in {place}, and both own the package "
            f"'mooncake'; 'mooncake.engine' is Moonrail's. Keep one: `pip uninstall {other}` and then "
            f"`pip install --force-reinstall` with Moonrail's wheel, or `pip uninstall moonrail` and then reinstall "
            f"'{other}'.",
            RuntimeWarning,
            stacklevel=2,
        )


check()
