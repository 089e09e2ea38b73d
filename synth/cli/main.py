"""The command `wavekeys`: one module a verb, imported only when its verb is used.

Exit codes: 0 done, 1 the work failed, 2 the command line was wrong. Every error is one line on stderr.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys

import click

from synth.errors import UsageError, WavekeysError, install_hint

VERBS: dict[str, str] = {
    "demo": "Render a short polyphonic piece with the factory preset, and play it where there is a device.",
    "play": "Play a MIDI keyboard live, and record it.",
    "render": "Render a Standard MIDI File to WAV.",
    "encode": "Turn sound into embeddings.",
    "decode": "Turn embeddings into sound.",
    "embeddings": "Mix, fade, stretch, loop and splice embeddings.",
    "grid": "Render a grid of blends for a sampler.",
    "devices": "List audio devices and MIDI ports.",
    "doctor": "Look whether this machine can play, how fast, and how late.",
    "bench": "Measure the decoder on this machine.",
    "presets": "List, save, rename, export and import presets.",
    "bank": "Build a preset's embeddings from notes.",
    "import-checkpoint": "Turn a released NSynth checkpoint into a model file.",
    "train": "Train a model on notes.",
    "baseline": "Train and run the paper's spectral autoencoder.",
    "evaluate": "Measure a preset note by note against its sources.",
    "experiments": "Repeat the NSynth paper's experiments, as a report.",
    "rainbowgram": "Draw notes as the NSynth paper does.",
}
"""Each verb's module is `synth.cli.<verb>` with dashes as underscores, its click command named `command`."""


INTERRUPTED = 130  # the exit code, as shells have it
_ANALYSIS = ("librosa", "matplotlib", "scipy", "soxr")
_TRAIN = ("grain", "google", "optax", "orbax", "threadpoolctl")
_EXTRAS = dict.fromkeys(_ANALYSIS, "analysis") | dict.fromkeys(_TRAIN, "train") | {"pedalboard": "effects"}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"synth.cli.{cmd_name.replace('-', '_')}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wavekeys")
def wavekeys() -> None:
    """NSynth you can play: a real-time WaveNet synthesizer."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the installed command; always exits."""
    try:
        _run(arguments)
    except SystemExit as end:
        if arguments is None and end.code == INTERRUPTED:
            # Not by way of the interpreter's end, which JAX does not survive while it computes.
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(INTERRUPTED)
        raise
    finally:
        if arguments is None:  # this process ends, and one more interrupt would only make it do so less tidily
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(arguments: list[str] | None) -> None:
    try:
        wavekeys.main(arguments, prog_name="wavekeys", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)  # of the verb that was used wrongly
        help_of = f"; `{context.command_path} --help` tells more" if context else ""
        _fail(error.format_message().rstrip(".") + help_of, 2)
    except UsageError as error:
        _fail(str(error), 2)
    except WavekeysError as error:
        _fail(str(error), 1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        _fail(f"this needs {package}: {install_hint(_EXTRAS[package])}", 1)
    except MemoryError:
        _fail("there is not memory enough for so much at once", 1)
    except OSError as error:  # such as of an output that nobody reads any more
        with contextlib.suppress(OSError):
            sys.stdout.close()  # else the interpreter fails on it once more
        _fail(error.strerror or str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except Exception as error:
        if _came_of_an_interrupt(error):
            sys.exit(INTERRUPTED)
        raise
    sys.exit(0)


def _came_of_an_interrupt(error: BaseException | None) -> bool:
    """Whether a library made another error of it, as numba does."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _fail(message: str, code: int) -> None:
    click.echo(f"wavekeys: {' '.join(message.split())}", err=True)
    sys.exit(code)
