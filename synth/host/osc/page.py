"""The table of addresses as a page: `python -m synth.host.osc`."""

from __future__ import annotations

from collections.abc import Iterable

from synth.host.osc.addresses import ERROR, OF_A_PART, OF_THE_HOST, ROOT, Address
from synth.host.osc.arguments import usage
from synth.host.osc.echoes import GONE_AFTER_S, METERS_EVERY_S, SUBSCRIBERS
from synth.host.osc.wire import MAX_DATAGRAM_BYTES
from synth.instrument import PARAMETERS

_PART = f"{ROOT}/<part>"


def page() -> str:
    """The page in Markdown."""
    of_a_part = [address for name, address in OF_A_PART.items() if name not in PARAMETERS]
    return f"""# Open Sound Control

Written by `python -m synth.host.osc` from the table that the server works by.

OSC 1.0 over UDP, on loopback unless the host is told otherwise. Whoever can reach the port can play: open it only to
networks that you trust.

* An address that shows something answers when it comes without values.
* `{ROOT}/subscribe` makes the server send every change, whoever made it: the client's own changes come back to it as
  their confirmation. The values are those that the address shows. Meters are sent at most {1 / METERS_EVERY_S:g} times
  a second, all else at most 20 times.
* {SUBSCRIBERS} clients can subscribe; one more takes the place of the oldest. One that refuses datagrams for
  {GONE_AFTER_S:g} s is dropped.
* Echoes are sent from a port of their own, answers from the server's.
* What cannot be done is answered by `{ERROR} line`, and nothing else happens.
* Numbers may be of any type (int, float, 64 bits, true and false); a choice is sent as its name, or as its number.
* Bundles are taken apart and acted on at once, whatever their time tags; addresses are taken as they are, without
  patterns; a datagram may have {MAX_DATAGRAM_BYTES} bytes.
* A button (`[1]`) is pressed by 1 or by no value, and does nothing at 0.
* Notes and pedals that clients hold down are let go when the server closes.

## The host

{_table(ROOT, OF_THE_HOST.values())}

## A part

`<part>` is the part's name, with `_` for what an address cannot have; `{ROOT}/parts` lists them.

{_table(_PART, of_a_part)}

## Parameters

`docs/midi.md` says what they mean.

| address | takes, shows | from | to |
|---|---|---|---|
""" + "".join(
        f"| `{_PART}/{p.id}` | {usage(OF_A_PART[p.id].takes)} | {p.shown(p.low)} | {p.shown(p.high)} |\n"
        if not p.choices
        else f"| `{_PART}/{p.id}` | {', '.join(p.choices)} | | |\n"
        for p in PARAMETERS.values()
    )


def _table(prefix: str, addresses: Iterable[Address]) -> str:
    rows = [
        f"| `{prefix}/{address.name}` | {usage(address.takes)} | {_shown(address)} | {address.meaning} |"
        for address in addresses
    ]
    return "\n".join(["| address | takes | shows | what it is |", "|---|---|---|---|", *rows])


def _shown(address: Address) -> str:
    if address.shows is None and address.tells is None:
        return ""
    kind = " (each time)" if address.tells else " (meter)" * address.meter
    return (address.says or usage(address.takes)) + kind
