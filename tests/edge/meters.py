"""A real Modbus TCP server for tests: registers by hand, refusals as meters have them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Meter:
    """One device of 1000 registers; `refuse_gaps` answers exception 2 to reads beyond `known`."""

    def __init__(self, unit_id: int = 1, *, known: frozenset[int] | None = None) -> None:
        self.words: dict[int, int] = {}
        self.reads: list[tuple[int, int, int]] = []
        self.writes = 0
        self.fails_with: ExcCodes | None = None
        self.known = known
        self.device = SimDevice(
            id=unit_id,
            simdata=[SimData(0, count=10_000, values=0, datatype=DataType.REGISTERS)],
            action=self._act,
        )

    def show(self, address: int, *words: int) -> None:
        """Put words into registers."""
        self.words.update({address + i: word for i, word in enumerate(words)})

    async def _act(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if set_values is not None:
            self.writes += 1
            return ExcCodes.ILLEGAL_FUNCTION
        self.reads.append((function_code, address, count))
        asked = range(address, address + count)
        if self.fails_with is not None:
            return self.fails_with
        if self.known is not None and not self.known.issuperset(asked):
            return ExcCodes.ILLEGAL_ADDRESS
        for register in asked:
            current_registers[register - start_address] = self.words.get(register, 0)
        return None


@asynccontextmanager
async def serving(*meters: Meter, port: int = 0) -> AsyncIterator[int]:
    """Serve meters behind one port, which is yielded."""
    server = ModbusTcpServer([meter.device for meter in meters], address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        listening = cast("asyncio.Server", server.transport)
        yield int(listening.sockets[0].getsockname()[1])
    finally:
        for connection in list(server.active_connections.values()):
            connection.close()
        await server.shutdown()  # type: ignore[no-untyped-call]  # untyped in pymodbus
        for _ in range(3):  # closing a transport takes a turn of the loop, its socket another
            await asyncio.sleep(0)
