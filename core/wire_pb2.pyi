from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Packet(_message.Message):
    __slots__ = ("envelope", "signature", "key")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    envelope: bytes
    signature: bytes
    key: str
    def __init__(self, envelope: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., key: _Optional[str] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("agent", "epoch", "sequence", "sent_us", "oldest", "points", "point", "base_us", "dt_us", "count", "value", "quality")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SENT_US_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    BASE_US_FIELD_NUMBER: _ClassVar[int]
    DT_US_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    agent: str
    epoch: str
    sequence: int
    sent_us: int
    oldest: int
    points: _containers.RepeatedScalarFieldContainer[str]
    point: _containers.RepeatedScalarFieldContainer[int]
    base_us: int
    dt_us: _containers.RepeatedScalarFieldContainer[int]
    count: _containers.RepeatedScalarFieldContainer[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    quality: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, agent: _Optional[str] = ..., epoch: _Optional[str] = ..., sequence: _Optional[int] = ..., sent_us: _Optional[int] = ..., oldest: _Optional[int] = ..., points: _Optional[_Iterable[str]] = ..., point: _Optional[_Iterable[int]] = ..., base_us: _Optional[int] = ..., dt_us: _Optional[_Iterable[int]] = ..., count: _Optional[_Iterable[int]] = ..., value: _Optional[_Iterable[float]] = ..., quality: _Optional[_Iterable[int]] = ...) -> None: ...
