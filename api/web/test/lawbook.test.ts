import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byIndicator, found, standingOn } from '../src/core/lawbook.ts'
import type { LimitRow } from '../src/core/wire_path.ts'

function limit(id: string, more: Partial<LimitRow> = {}): LimitRow {
  return {
    id,
    indicator: 'al.liquid.ac',
    name: { zh: '铝液限额', en: 'Liquid aluminium' },
    value: '13350',
    cmp: '<=',
    unit: 'kWh/t',
    force: 'mandatory',
    level: 3,
    jurisdiction: 'cn',
    valid_from: '2023-01-01',
    valid_to: null,
    due: null,
    source: 'GB 21346-2022',
    clause: '4.1',
    quote: null,
    ...more,
  } as LimitRow
}
const ROWS = [
  limit('b', { force: 'reference', level: 2 }),
  limit('a', { quote: '铝液电解交流电耗降至12750千瓦时／吨以下', force: 'target', level: null }),
  limit('c', { indicator: 'fesi.smelting', source: 'GB 21341-2022' }),
]
const ALL = { find: null, force: null, indicators: null }

test('a limit is found by its standard, its clause or a word of its quotation', () => {
  assert.deepEqual(found(ROWS, { ...ALL, find: 'gb 21341' }).map((row) => row.id), ['c'])
  assert.deepEqual(found(ROWS, { ...ALL, find: '12750千瓦时' }).map((row) => row.id), ['a'])
  assert.deepEqual(found(ROWS, { ...ALL, find: '铝液 21346' }).map((row) => row.id), ['b', 'a'])
  assert.deepEqual(found(ROWS, { ...ALL, find: 'nothing like it' }), [])
})

test('force and indicators narrow what is found', () => {
  assert.deepEqual(found(ROWS, { ...ALL, force: 'target' }).map((row) => row.id), ['a'])
  const indicators = new Set(['fesi.smelting'])
  assert.deepEqual(found(ROWS, { ...ALL, indicators }).map((row) => row.id), ['c'])
})

test('groups are by indicator, what binds hardest is first, and what has ended is last', () => {
  const old = limit('0', { valid_to: '2026-01-01' })
  const groups = byIndicator([old, ...ROWS, limit('z')], '2026-11-28')
  assert.deepEqual(
    groups.map(([indicator, rows]) => [indicator, rows.map((row) => row.id)]),
    [
      ['al.liquid.ac', ['z', 'a', 'b', '0']],
      ['fesi.smelting', ['c']],
    ],
  )
})

test('a due date that has passed is told, and the first day without a limit is without it', () => {
  const target = limit('t', { valid_from: '2017-01-01', due: '2020-12-31', valid_to: '2027-01-01' })
  assert.equal(standingOn(target, '2020-12-31'), 'in_force')
  assert.equal(standingOn(target, '2016-12-31'), 'ahead')
  assert.equal(standingOn(target, '2021-01-01'), 'lapsed')
  assert.equal(standingOn(target, '2026-12-31'), 'lapsed')
  assert.equal(standingOn(target, '2027-01-01'), 'ended')
})
