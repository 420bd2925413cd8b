import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jurisdictionsOf, placed, plantRows, ranked } from '../src/core/region.ts'
import { format, parse } from '../src/core/route.ts'
import type { Benchmark, Case, RankedPlant } from '../src/core/wire_work.ts'
import { alert, item, NOW, unit, verdict } from './make.ts'

function plant(site: string, rank: number | null, value: string | null): RankedPlant {
  return { site, rank, value } as RankedPlant
}

test('plants stand by jurisdiction, those in most trouble first, and nothing known is not within', () => {
  const over = item({ verdicts: [verdict({ verdict: 'exceeds' })] })
  const none = item({ intensity: { value: null, unit: 'kWh/t', uncertainty: null }, verdicts: [] })
  const units = [
    unit({ unit: 'a.one', site: 'a' }),
    unit({ unit: 'b.one', site: 'b', current: [over] }),
    unit({ unit: 'b.two', site: 'b', current: [none] }),
    unit({ unit: 'c.one', site: 'c', jurisdiction: 'cn-nx' }),
  ]
  const late = { site: 'a', state: 'delivered', waiting: { overdue: true, due_at: null } }
  const cases = [late] as unknown as Case[]
  const rows = plantRows(units, [alert({ unit: 'b.one' }), alert({ unit: 'b.one', state: 'pending' })], cases, NOW)
  assert.deepEqual(rows.map((row) => row.site), ['c', 'a', 'b'])
  const b = rows[2]
  assert.deepEqual([b?.units, b?.over, b?.unknown, b?.alerts, b?.cases], [2, 1, 1, 1, 0])
  assert.deepEqual([rows[1]?.cases, rows[1]?.overdue], [1, 1])
})

test('a target that is exceeded is not a mandatory limit that is', () => {
  const soft = item({ verdicts: [verdict({ verdict: 'exceeds', force: 'target' })] })
  assert.equal(plantRows([unit({ current: [soft] })], [], [], NOW)[0]?.over, 0)
})

test('every jurisdiction above a plant may be chosen, the widest first', () => {
  const units = [unit({ jurisdiction: 'cn-qh-xn' }), unit({ jurisdiction: 'cn-nx' })]
  assert.deepEqual(jurisdictionsOf(units), ['cn', 'cn-nx', 'cn-qh', 'cn-qh-xn'])
})

test('who has no rank is listed apart, and every place lies on the line', () => {
  const plants = [plant('b', 2, '13000'), plant('x', null, null), plant('a', 1, '12000')]
  const quartiles = { first: '11900', median: '12500', third: '13100', concealed: false }
  const benchmark = { plants, quartiles } as unknown as Benchmark
  assert.deepEqual(ranked(benchmark).in.map((one) => one.site), ['a', 'b'])
  assert.deepEqual(ranked(benchmark).out.map((one) => one.site), ['x'])
  const place = placed(benchmark)
  const at = ['11900', '12000', '12500', '13000', '13100'].map((text) => place(text) ?? -1)
  assert.deepEqual(at, [...at].sort((a, b) => a - b))
  assert.ok(at.every((x) => x >= 0 && x <= 1))
  assert.equal(place(null), null)
})

test('one plant alone stands somewhere on the line', () => {
  const place = placed({ plants: [plant('a', 1, '12000')], quartiles: null } as unknown as Benchmark)
  assert.ok((place('12000') ?? -1) >= 0)
})

test('an address keeps the list that is shown, the case that is open and the wall', () => {
  for (const address of ['/alerts?show=past', '/p/gh-al/cases/0b1c', '/p/gh-al?display=1', '/region?indicator=al.liquid.ac']) {
    const [path = '', search = ''] = address.split('?')
    assert.equal(format(parse(path, search)), address)
  }
})
