"""What is left of the claim that a defence defends."""

_WEAK = 0.05
"""Share of the clouds by which a straight attack has to fall behind before that is said."""


def claim(
    name: str,
    *,
    undefended: float,
    oblivious: float,
    straight: float,
    adaptive: float,
    clean: float,
    defended_clean: float,
) -> str:
    """What is left of the claim that a defence defends, in one sentence; all accuracies as shares in 0..1.

    Who knows the defence can use any of the three attacks, so that the least accuracy counts.

    Parameters
    ----------
    name : of the defence.
    undefended : accuracy under attack without it.
    oblivious, straight, adaptive : accuracies with it.
    clean, defended_clean : accuracies on clean clouds without and with it.
    """
    known = min(oblivious, straight, adaptive)
    price = f"{100 * abs(clean - defended_clean):.1f}"
    verb = "costs" if defended_clean <= clean else "gains"
    parts = [
        f"{name[:1].upper()}{name[1:]} keeps {100 * oblivious:.0f} % against clouds that were made without knowing it, "
        f"and {100 * known:.0f} % against an attacker who does, where {100 * undefended:.0f} % are kept without it",
        f"it {verb} {price} points of clean accuracy" if price != "0.0" else "it costs no clean accuracy",
    ]
    if straight - known >= _WEAK:
        parts.append(f"a straight attack alone would have shown {100 * straight:.0f} %")
    return f"{'; '.join(parts)}."
