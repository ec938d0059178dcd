"""The decoder of publish responses against the client library's encoder."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.opcua.codec import decode_other, plain
from drivers.opcua.wire import Publish, WireError, decode_publish, decode_republish

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SCALARS = st.one_of(
    st.booleans().map(lambda v: ua.Variant(v, ua.VariantType.Boolean)),
    st.integers(-128, 127).map(lambda v: ua.Variant(v, ua.VariantType.SByte)),
    st.integers(0, 2**16 - 1).map(lambda v: ua.Variant(v, ua.VariantType.UInt16)),
    st.integers(-(2**31), 2**31 - 1).map(lambda v: ua.Variant(v, ua.VariantType.Int32)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: ua.Variant(v, ua.VariantType.Int64)),
    st.integers(0, 2**64 - 1).map(lambda v: ua.Variant(v, ua.VariantType.UInt64)),
    st.floats(width=32, allow_nan=False).map(lambda v: ua.Variant(v, ua.VariantType.Float)),
    st.floats(allow_nan=False).map(lambda v: ua.Variant(v, ua.VariantType.Double)),
    st.one_of(st.none(), st.text(max_size=30)).map(lambda v: ua.Variant(v, ua.VariantType.String)),
)
OTHERS = st.one_of(
    st.just(ua.Variant(None)),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=5).map(
        lambda v: ua.Variant(v, ua.VariantType.Double, is_array=True)
    ),
    st.text(max_size=9).map(
        lambda v: ua.Variant(ua.LocalizedText(v, "zh"), ua.VariantType.LocalizedText)
    ),
    st.binary(max_size=9).map(lambda v: ua.Variant(v, ua.VariantType.ByteString)),
    st.integers(978_307_200, 4_070_908_800).map(
        lambda v: ua.Variant(datetime.fromtimestamp(v, UTC), ua.VariantType.DateTime)
    ),
    st.uuids().map(lambda v: ua.Variant(v, ua.VariantType.Guid)),
)
TIMES = st.one_of(
    st.none(),
    st.integers(946_684_800_000, 4_102_444_800_000).map(
        lambda ms: EPOCH + timedelta(milliseconds=ms)
    ),
)
STATUSES = st.sampled_from([0, 0x408F_0000, 0x8033_0000, 0x0096_0000, 0x0000_0480])


@st.composite
def items(draw: st.DrawFn) -> ua.MonitoredItemNotification:
    value = ua.DataValue(
        draw(st.one_of(SCALARS, OTHERS)),
        ua.StatusCode(draw(STATUSES)),
        SourceTimestamp=draw(TIMES),
        ServerTimestamp=draw(TIMES),
    )
    return ua.MonitoredItemNotification(ClientHandle=draw(st.integers(0, 2**32 - 1)), Value=value)


def response(notifications: list[Any], *, sequence: int = 7, more: bool = False) -> bytes:
    message = ua.PublishResponse()
    message.ResponseHeader.StringTable = ["a", "b"]
    message.Parameters.SubscriptionId = 42
    message.Parameters.AvailableSequenceNumbers = [5, 6, 7]
    message.Parameters.MoreNotifications = more
    message.Parameters.NotificationMessage.SequenceNumber = sequence
    message.Parameters.NotificationMessage.PublishTime = EPOCH + timedelta(days=20_000)
    message.Parameters.NotificationMessage.NotificationData = notifications
    return struct_to_binary(message)


def changes_of(found: list[ua.MonitoredItemNotification]) -> bytes:
    return response([ua.DataChangeNotification(MonitoredItems=found)])


def expected(item: ua.MonitoredItemNotification) -> tuple[Any, ...]:
    value = item.Value

    def ms(moment: datetime | None) -> int:
        return 0 if moment is None else (moment - EPOCH) // timedelta(milliseconds=1)

    return (
        item.ClientHandle,
        plain(value.Value.Value),
        value.StatusCode.value,
        ms(value.SourceTimestamp),
        ms(value.ServerTimestamp),
    )


def decode(data: bytes) -> Publish:
    return decode_publish(data, decode_other)


@given(found=st.lists(items(), max_size=20), more=st.booleans())
def test_decodes_every_value_that_the_library_encodes(
    found: list[ua.MonitoredItemNotification], more: bool
) -> None:
    notification = ua.DataChangeNotification(MonitoredItems=found)
    publish = decode(response([notification], more=more))
    assert publish.changes == [expected(item) for item in found]
    assert (publish.subscription, publish.sequence, publish.more) == (42, 7, more)
    assert publish.publish_ms == 20_000 * 86_400_000
    assert not publish.keep_alive


@settings(max_examples=50)
@given(found=st.lists(items(), min_size=1, max_size=4), cut=st.floats(0, 1, exclude_max=True))
def test_a_message_cut_short_is_an_error_and_never_half_a_message(
    found: list[ua.MonitoredItemNotification], cut: float
) -> None:
    data = changes_of(found)
    body = len(data) - 8  # behind the last notification come two empty arrays
    with pytest.raises(WireError):
        decode(data[: int(cut * body)])


@settings(max_examples=200)
@given(
    found=st.lists(items(), min_size=1, max_size=3),
    place=st.floats(0, 1, exclude_max=True),
    value=st.integers(0, 255),
)
def test_a_damaged_message_raises_nothing_but_wire_errors(
    found: list[ua.MonitoredItemNotification], place: float, value: int
) -> None:
    data = bytearray(changes_of(found))
    data[int(place * len(data))] = value
    try:
        decode(bytes(data))
    except WireError:
        return


def test_a_value_that_cannot_be_decoded_names_its_handle() -> None:
    number = struct.pack("<II", 0x7FFF_FFFF, 0x3FF0_0000)
    variant = ua.Variant(struct.unpack("<d", number)[0])
    item = ua.MonitoredItemNotification(ClientHandle=9, Value=ua.DataValue(variant))
    data = bytearray(changes_of([item]))
    data[data.index(number) - 1] = 15  # as a byte string it would be two gigabytes long
    with pytest.raises(WireError) as caught:
        decode(bytes(data))
    assert caught.value.handle == 9


def test_picoseconds_stand_behind_their_own_time_stamp() -> None:
    # OPC 10000-6 table 26 interleaves them; the client library 2.1 does not and misreads these.
    source, server = 133_000_000_000_000_000, 133_000_000_010_000_000
    value = struct.pack("<BBdqHqH", 0x3D, 11, 2.5, source, 111, server, 222)
    body = struct.pack("<iI", 1, 3) + value + struct.pack("<i", 0)
    plain_message = response([ua.DataChangeNotification()])
    empty = struct_to_binary(ua.DataChangeNotification())
    extension = struct.pack("<i", len(empty)) + empty
    data = plain_message.replace(extension, struct.pack("<i", len(body)) + body)
    change = decode(data).changes[0]
    assert change == (3, 2.5, 0, source // 10_000 - 11_644_473_600_000, change[3] + 1000)


def test_a_keep_alive_has_no_changes_and_a_status_change_ends_the_subscription() -> None:
    keep_alive = decode(response([]))
    assert keep_alive.keep_alive
    assert keep_alive.changes == []
    ended = decode(response([ua.StatusChangeNotification(Status=ua.StatusCode(0x800A_0000))]))
    assert ended.ended == 0x800A_0000


def test_a_time_before_2000_is_an_unset_clock() -> None:
    value = ua.DataValue(ua.Variant(1.0), SourceTimestamp=datetime(1999, 12, 31, tzinfo=UTC))
    item = ua.MonitoredItemNotification(ClientHandle=1, Value=value)
    assert decode(changes_of([item])).changes[0][3] == 0


def test_a_republished_notification_reads_like_a_published_one() -> None:
    item = ua.MonitoredItemNotification(ClientHandle=1, Value=ua.DataValue(ua.Variant(4.5)))
    message = ua.RepublishResponse()
    message.NotificationMessage.SequenceNumber = 12
    message.NotificationMessage.NotificationData = [
        ua.DataChangeNotification(MonitoredItems=[item])
    ]
    publish = decode_republish(struct_to_binary(message), decode_other, 42)
    assert (publish.sequence, publish.subscription) == (12, 42)
    assert publish.changes[0][1] == 4.5
    with pytest.raises(WireError):
        decode(struct_to_binary(message))
