"""What MIDI keeps a channel: registered parameters, resets, MPE zones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synth.instrument.channels import CONTROLLERS, Channels
from synth.instrument.chart import implementation_chart
from synth.instrument.parameters import PARAMETERS

NOW = np.array([10_000])


@pytest.fixture
def channels() -> Channels:
    return Channels(16_000)


def register(channels: Channels, number: int, parameter: int, coarse: int, fine: int | None = None) -> None:
    for control, value in ((101, 0), (100, parameter), (6, coarse), *(() if fine is None else ((38, fine),))):
        channels.control(0, number, control, value)


def test_rpn_0_sets_the_bend_range(channels: Channels) -> None:
    register(channels, 3, 0, 12, 50)
    assert channels[3].bend_range.target == pytest.approx(12.5)
    assert (channels[2].bend_range.target, channels[2].has_own_range) == (2.0, False)


def test_rpn_1_and_2_tune_a_channel(channels: Channels) -> None:
    register(channels, 0, 1, 96, 0)  # half way up: 50 cents
    register(channels, 0, 2, 64 - 12)
    assert channels[0].tuning.target == pytest.approx(-11.5)


def test_data_entry_without_a_registered_parameter_changes_nothing(channels: Channels) -> None:
    register(channels, 0, 0, 7)
    channels.control(0, 0, 101, 127)
    channels.control(0, 0, 100, 127)
    channels.control(0, 0, 6, 99)
    assert channels[0].bend_range.target == 7
    register(channels, 0, 0, 5)
    channels.control(0, 0, 99, 0)  # an NRPN follows
    channels.control(0, 0, 6, 99)
    assert channels[0].bend_range.target == 5


def test_reset_of_controllers_leaves_volume_pan_and_tuning(channels: Channels) -> None:
    register(channels, 0, 0, 7)
    for control, value in ((7, 64), (10, 127), (1, 127), (11, 0), (74, 127), (64, 127)):
        channels.control(0, 0, control, value)
    channels[0].sustain = True
    channels[0].set_bend(0, 8191)
    channels[0].set_key_pressure(0, 60, 127)
    channels[0].reset_controllers(1000)
    channel = channels[0]
    assert (channel.wheel.over(NOW), channel.bend.over(NOW), channel.brightness.over(NOW)) == (0.0, 0.0, 1.0)
    assert channel.pressure_over(60, NOW) == 0.0
    assert channel.gain.over(NOW) == pytest.approx((64 / 127) ** 2)
    assert channel.pan.over(NOW) == 1.0
    assert channel.bend_range.target == 7
    assert not channel.sustain


def test_the_middle_of_pan_and_brightness_is_exact(channels: Channels) -> None:
    channels.control(0, 0, 10, 64)
    channels.control(0, 0, 74, 64)
    assert (channels[0].pan.over(NOW), channels[0].brightness.over(NOW)) == (0.0, 0.0)


def test_rpn_6_sets_up_an_mpe_zone(channels: Channels) -> None:
    register(channels, 0, 6, 5)
    assert channels.under(0) == [0, 1, 2, 3, 4, 5]
    assert channels.of_note(3) == (channels[3], channels[0])
    assert channels.of_note(6) == (channels[6],)
    assert (channels[3].bend_range.target, channels[0].bend_range.target) == (48.0, 2.0)
    register(channels, 2, 0, 24)  # one member's range is that of all
    assert [channels[n].bend_range.target for n in (1, 5)] == [24.0, 24.0]
    register(channels, 0, 6, 0)
    assert channels.of_note(3) == (channels[3],)


def test_two_zones_share_the_channels_and_the_later_one_takes_what_it_needs(channels: Channels) -> None:
    register(channels, 0, 6, 10)
    register(channels, 15, 6, 7)
    assert channels.under(15) == [15, 14, 13, 12, 11, 10, 9, 8]
    assert channels.under(0) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert channels.master(9) == 15


def test_controllers_of_channels_and_of_parameters_do_not_meet() -> None:
    own = {controller.number for controller in CONTROLLERS}
    of_parameters = [p.controller for p in PARAMETERS.values() if p.controller is not None]
    assert len(set(of_parameters)) == len(of_parameters)
    assert not own & set(of_parameters)


def test_the_page_of_the_midi_implementation_is_what_the_tables_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "midi.md"
    assert page.read_text(encoding="utf-8") == implementation_chart()


def test_a_step_of_one_members_bend_range_is_one_of_all(channels: Channels) -> None:
    register(channels, 0, 6, 3)
    for control in (101, 100, 97):
        channels.control(0, 2, control, 0)
    assert {channels[member].bend_range.target for member in (1, 2, 3)} == {47.99}


def test_a_zone_that_is_pushed_out_leaves_its_master_the_usual_bend_range() -> None:
    channels = Channels(16_000, bend_range=12.0)
    register(channels, 15, 6, 3)
    register(channels, 0, 6, 14)
    assert channels.under(15) == [15]
    assert (channels[15].bend_range.target, channels[15].has_own_range) == (12.0, False)


def test_pressure_is_of_one_kind_whether_a_key_has_any_or_not(channels: Channels) -> None:
    channels[0].set_key_pressure(0, 60, 64)
    assert type(channels[0].pressure_over(60, 5)) is type(channels[0].pressure_over(61, 5)) is float


def test_a_zone_that_is_brought_back_leaves_no_registered_parameter_to_stray_data() -> None:
    members = Channels(16_000, mpe_members=3)
    for number, value in ((101, 0), (100, 6), (6, 0), (121, 0)):
        members.control(0, 0, number, value)
    for number in members.under(0):
        members[number].reset_controllers(0)
    again = Channels(16_000, mpe_members=3)
    for message in members.messages():
        again.control(0, message.channel, message.control, message.value)
    assert again.under(0) == [0]
    again.control(0, 0, 6, 15)
    assert again.under(0) == [0]
