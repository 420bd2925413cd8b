import assert from 'node:assert/strict'
import { test } from 'node:test'
import { middles } from '../src/chart/ticks.ts'
import { beginOf, nameAt } from '../src/core/calendar.ts'

const ZONE = 'Asia/Shanghai'

test('months are labelled in their middle, the newest one always while it is half over', () => {
  const from = beginOf('2026-01', ZONE)
  const to = beginOf('2026-12', ZONE)
  for (const most of [1, 2, 4, 12]) {
    const names = middles(from, to, most, 'month', ZONE).map((at) => nameAt(at, 'month', ZONE))
    assert.ok(names.length <= most, names.join(' '))
    assert.equal(names.at(-1), '2026-11')
  }
  assert.equal(middles(from, to, 12, 'month', ZONE).length, 11)
})

test('the middle of a month that is still to come is not labelled', () => {
  const from = beginOf('2026-10', ZONE)
  const to = beginOf('2026-11-05', ZONE)
  const names = middles(from, to, 9, 'month', ZONE).map((at) => nameAt(at, 'month', ZONE))
  assert.deepEqual(names, ['2026-10'])
})
