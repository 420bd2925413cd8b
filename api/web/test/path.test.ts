import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLOCK_OFF_MS, isTroubled, ordered, SILENT_MS, stateOf } from '../src/core/agents.ts'
import { heat, shade } from '../src/core/heat.ts'
import type { Agent, Columns } from '../src/core/wire_path.ts'

const NOW = Date.parse('2026-11-28T12:00:00Z')

function agent(name: string, more: Partial<Agent> = {}): Agent {
  return {
    agent: name,
    site: 's',
    state: 'online',
    state_at: null,
    epoch: null,
    depth: 0,
    oldest_at: null,
    clock_offset_ms: 5,
    last_seen_at: new Date(NOW - 1_000).toISOString(),
    committed: 1,
    missing: 0,
    missing_ranges: [],
    missing_since: null,
    lost: 0,
    ...more,
  }
}

test('an agent is never online on its word alone', () => {
  const quiet = new Date(NOW - SILENT_MS - 1).toISOString()
  assert.equal(stateOf(agent('a'), NOW), 'online')
  assert.equal(stateOf(agent('a', { last_seen_at: quiet }), NOW), 'silent')
  assert.equal(stateOf(agent('a', { last_seen_at: null }), NOW), 'silent')
  assert.equal(stateOf(agent('a', { state: 'offline' }), NOW), 'offline')
  assert.equal(stateOf(agent('a', { state: 'unknown' }), NOW), 'unknown')
})

test('missing, lost, a clock that is off and silence ask for a look', () => {
  assert.equal(isTroubled(agent('a'), NOW), false)
  for (const more of [
    { missing: 1 },
    { lost: 2 },
    { clock_offset_ms: -CLOCK_OFF_MS - 1 },
    { last_seen_at: null },
  ]) {
    assert.equal(isTroubled(agent('a', more), NOW), true, JSON.stringify(more))
  }
})

test('troubled agents are read first, then by name', () => {
  const all = [agent('c'), agent('a'), agent('b', { lost: 1 })]
  assert.deepEqual(ordered(all, NOW).map((one) => one.agent), ['b', 'a', 'c'])
})

function columns(unit: string, values: Record<string, number>): Columns {
  const days = Object.keys(values)
  return {
    unit,
    indicator: 'x',
    period: 'day',
    period_start: days.map((day) => `${day}T00:00:00Z`),
    closed: days.map(() => true),
    intensity: days.map(() => '1'),
    completeness: Object.values(values),
  }
}

test('a day without a figure is a cell without one; of several indicators the least counts', () => {
  const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
  const days = ['2026-11-01', '2026-11-02', '2026-11-03']
  const rows = heat(
    [
      columns('s.b', { '2026-11-01': 1 }),
      columns('s.a', { '2026-11-01': 1, '2026-11-03': 0.8 }),
      columns('s.a', { '2026-11-01': 0.5 }),
    ],
    days,
    dayOf,
  )
  assert.deepEqual(rows.map((row) => row.unit), ['s.a', 's.b'])
  assert.deepEqual(rows[0]?.cells.map((cell) => cell.completeness), [0.5, null, 0.8])
})

test('no data never looks like little data', () => {
  assert.deepEqual(
    [null, 0, 0.2, 0.6, 0.95, 1].map(shade),
    ['none', 'none', 'little', 'some', 'most', 'whole'],
  )
})
