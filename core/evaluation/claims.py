"""One sentence on how much accuracy under attack a defence keeps."""

_NOTABLE_GAP = 0.05
"""Least difference between the accuracy under the straight and under the strongest attack that is mentioned."""


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
    """How much accuracy under attack a defence keeps, in one sentence; all accuracies are in 0..1.

    An attacker who knows the defence can use any of the three attacks on it, so the least accuracy counts.

    Parameters
    ----------
    name : of the defence.
    undefended : accuracy under attack without the defence.
    oblivious, straight, adaptive : accuracies with it, under the attacks of ``core.evaluation.defended``.
    clean, defended_clean : accuracies on clean clouds without and with it.
    """
    least = min(oblivious, straight, adaptive)
    clean_change = f"{100 * abs(clean - defended_clean):.1f}"
    verb = "costs" if defended_clean <= clean else "gains"
    parts = [
        f"{name[:1].upper()}{name[1:]} keeps {100 * oblivious:.0f} % against clouds that were made without knowing it, "
        f"and {100 * least:.0f} % against an attacker who does, where {100 * undefended:.0f} % are kept without it",
        f"it {verb} {clean_change} points of clean accuracy" if clean_change != "0.0" else "it costs no clean accuracy",
    ]
    if straight - least >= _NOTABLE_GAP:
        parts.append(f"a straight attack alone would have shown {100 * straight:.0f} %")
    return f"{'; '.join(parts)}."
