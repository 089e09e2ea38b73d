"""Shares and means over notes and blends, as the bars of the project are worded."""

from __future__ import annotations

from typing import Any

import numpy as np

from synth.training.evaluation.blends import between, largest

UNPITCHED_CENTS = 600.0  # what a note without a pitch counts as
CRACKLE_DB = 6.0  # more than the source does: noise that is not the instrument's
_MEANS = ("level_error_db", "loudness_error_db", "attack_error_ms", "noise_error_db", "crackle_error_db")


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of notes measured; a note without a pitch counts as out of tune. Errors with a sign become mean magnitudes."""
    summary: dict[str, float] = {"notes": len(rows), **_shares([row["cents"] for row in rows], "")}
    # Where the source itself has no pitch that can be tracked, there is none to be compared with.
    paired = [row["cents_from_source"] for row in rows if np.isfinite(row.get("source_cents", np.nan))]
    if paired:
        summary |= _shares(paired, "_of_source")
    combed = [row["comb_cents_from_source"] for row in rows if "comb_cents_from_source" in row]
    if combed:
        summary |= _shares(combed, "_of_source_by_comb")
    summary |= {
        "notes_with_clicks": int(sum(row["clicks"] > 0 for row in rows)),
        "loudest_tail_db": float(max(row["tail_db"] for row in rows)),
    }
    for name in ("log_mel_db", "multi_scale"):
        values = [row[name] for row in rows if name in row]
        if values:
            summary[f"mean_{name}"] = float(np.mean(values))
    for name in _MEANS:
        values = [abs(row[name]) for row in rows if name in row]
        if values:
            summary[f"mean_{name}"] = float(np.mean(values))
    crackling = [row["crackle_error_db"] for row in rows if "crackle_error_db" in row]
    if crackling:
        summary["notes_that_crackle"] = int(sum(error > CRACKLE_DB for error in crackling))
    long = [row for row in rows if "drift_cents" in row]
    if long:
        summary["largest_drift_cents"] = largest([row["drift_cents"] for row in long])
        summary["largest_drift_db"] = largest([row["drift_db"] for row in long])
        summary["largest_ripple_db"] = largest([row["ripple_db"] for row in long])
        summary["long_notes_with_clicks"] = int(sum(row["long_clicks"] > 0 for row in long))
        agree = [abs(row["long_cents"] - row["spectral_cents"]) <= 10 for row in long]
        summary["trackers_agree_within_10_cents"] = float(np.mean(agree))
    return summary


def summarise_blends(blends: list[dict[str, Any]], bends: list[dict[str, Any]]) -> dict[str, float]:
    """Of `measure_blends` and `measure_bends`."""
    summary: dict[str, float] = {}
    if bends:
        cents = np.abs(np.nan_to_num([bend["cents"] for bend in bends], nan=UNPITCHED_CENTS))
        summary["bends_within_10_cents"] = float(np.mean(cents <= 10))
        summary["largest_bend_error_cents"] = float(cents.max())
    if blends:
        inner = np.abs(np.nan_to_num([row["cents"][1:-1] for row in blends], nan=UNPITCHED_CENTS))
        ends = np.abs(np.nan_to_num([[row["cents"][0], row["cents"][-1]] for row in blends], nan=UNPITCHED_CENTS))
        summary["blends_within_20_cents"] = float(np.mean(inner <= 20))
        summary["blends_within_50_cents"] = float(np.mean(inner <= 50))
        summary["blends_ends_within_20_cents"] = float(np.mean(ends <= 20))
        summary["blends_between_the_ends"] = float(np.mean([between(row) for row in blends]))
        summary["mean_mix_distance_db"] = float(np.mean([row["mix_distance_db"] for row in blends]))
    return summary


def _shares(cents: list[float], suffix: str) -> dict[str, float]:
    magnitudes = np.abs(np.nan_to_num(cents, nan=UNPITCHED_CENTS))
    shares = {f"within_{limit}_cents{suffix}": float(np.mean(magnitudes <= limit)) for limit in (10, 20, 50)}
    return {f"median_cents{suffix}": float(np.median(magnitudes)), **shares}
