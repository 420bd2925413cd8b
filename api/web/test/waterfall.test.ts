import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeOf, waterfall } from '../src/core/waterfall.ts'
import type { CauseItem, Excess } from '../src/core/wire_outlook.ts'

function part(cause: string, value: string | null, why: string | null = null): CauseItem {
  return {
    cause,
    name: { zh: cause, en: cause },
    value,
    unit: 'kWh',
    per_output: value,
    plus_minus: null,
    why,
    evidence: {},
  }
}

function excess(parts: CauseItem[] | null, total: string, rest: string | null): Excess {
  return {
    excess: { value: total, unit: 'kWh', per_output: total, per_output_unit: 'kWh/t', uncertainty: null },
    parts,
    remainder:
      rest === null
        ? null
        : { causes: ['rate'], name: {}, value: rest, per_output: rest, why: [], text: {} },
  } as unknown as Excess
}

test('bars lead from the limit to the figure: each begins where the one before ended', () => {
  const fall = waterfall(excess([part('reference', '748'), part('stoppage', '1.5')], '688', '-61.5'))
  assert.ok(fall)
  const parts = fall.bars.filter((bar) => bar.kind !== 'total')
  let edge = 0
  for (const bar of parts) {
    assert.equal(bar.from, edge)
    edge = bar.to
  }
  const total = fall.bars.at(-1)
  assert.deepEqual([total?.kind, total?.from, total?.to], ['total', 0, 688])
  assert.equal(edge, 688)
})

test('what is not told apart is in the remainder, not drawn twice and not as zero', () => {
  const fall = waterfall(excess([part('reference', '10'), part('rate', null)], '7', '-3'))
  assert.deepEqual(fall?.bars.map((bar) => bar.key), ['reference', 'remainder', 'total'])
})

test('a cause that the indicator does not count is no bar; a measured zero is one', () => {
  const fall = waterfall(
    excess([part('recovery', '0', 'not_counted'), part('stoppage', '0')], '0', null),
  )
  assert.deepEqual(fall?.bars.map((bar) => bar.key), ['stoppage', 'total'])
})

test('below the limit the bars go the other way, and zero stays on the scale', () => {
  const fall = waterfall(excess([part('reference', '-50')], '-50', null))
  assert.ok(fall)
  assert.deepEqual([fall.low, fall.high], [-50, 0])
  assert.equal(placeOf(0, fall), 100)
  assert.equal(placeOf(-50, fall), 0)
})

test('without energy, output or limit there is nothing to draw', () => {
  assert.equal(waterfall(excess(null, '1', null)), null)
  assert.equal(waterfall({ excess: null, parts: null } as unknown as Excess), null)
})
