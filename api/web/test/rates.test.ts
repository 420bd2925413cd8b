import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byParent, isFolded, isSilenced, ratesOf, WINDOW_MS } from '../src/core/rates.ts'
import { DEFAULT_H, endOf, mayShelve } from '../src/core/shelving.ts'
import type { Quiet } from '../src/core/wire.ts'
import type { AlertRow } from '../src/core/wire_work.ts'
import { alert, NOW } from './make.ts'

const MINUTE_MS = 60_000

function raised(id: string, minutesAgo: number, change: Partial<AlertRow> = {}): AlertRow {
  const at = new Date(NOW - minutesAgo * MINUTE_MS).toISOString()
  return { ...alert({ id, raised_at: at }), ...change }
}

function quiet(kind: Quiet['kind'], of: string | null = null): Quiet {
  const none = { until: null, silence: null, document: null, reason: null, by: null }
  return { kind, told: false, since: '2026-11-21T06:00:00Z', alert: of, ...none }
}

test('the rate of ten minutes counts what was raised within them and nothing else', () => {
  const alerts = [raised('a', 1), raised('b', 9), raised('c', 11), raised('d', 24 * 60 + 1)]
  const rates = ratesOf(alerts, NOW)
  assert.equal(rates.lastWindow, 2)
  assert.equal(rates.day, 3)
})

test('the worst ten minutes are those of any begin, as counting every window one by one finds', () => {
  const ago = [3, 5, 61, 63, 64, 70.9, 71, 90, 400, 401, 409.9, 410, 411]
  const rates = ratesOf(ago.map((minutes, n) => raised(`a${n}`, minutes)), NOW)
  const times = ago.map((minutes) => NOW - minutes * MINUTE_MS)
  const within = (from: number): number =>
    times.filter((at) => at >= from && at < from + WINDOW_MS).length
  const most = Math.max(...times.map(within))
  assert.equal(rates.worst, most)
  assert.equal(within(rates.worstAt ?? 0), most)
})

test('without an alert nothing rang, and there is no worst moment', () => {
  const rates = ratesOf([], NOW)
  assert.deepEqual([rates.day, rates.worst, rates.worstAt, rates.sources], [0, 0, null, []])
})

test('what stands behind another alert rings for nobody, and belongs to that one', () => {
  const behind = raised('b', 2, { quiet: quiet('behind', 'a') })
  const alerts = [raised('a', 2), behind, raised('c', 2, { quiet: quiet('shelved') })]
  assert.equal(ratesOf(alerts, NOW).day, 2)
  assert.deepEqual([...byParent(alerts)], [['a', [behind]]])
  assert.deepEqual(alerts.map(isFolded), [false, true, false])
  assert.equal(isFolded(raised('d', 2, { quiet: { ...quiet('behind', 'a'), told: true } })), false)
  assert.deepEqual(alerts.map(isSilenced), [false, false, true])
})

test('a standing alert was taken note of and has lasted for more than a day', () => {
  const known = { acknowledged_at: '2026-11-19T00:00:00Z' }
  const alerts = [
    raised('old', 25 * 60, known),
    raised('new', 60, known),
    raised('unknown', 25 * 60),
    raised('over', 25 * 60, { ...known, state: 'resolved' }),
  ]
  assert.equal(ratesOf(alerts, NOW).standing, 1)
})

test('what rings most comes first', () => {
  const alerts = [raised('a', 1, { unit: 'x.one' }), raised('b', 2), raised('c', 3)]
  assert.deepEqual(ratesOf(alerts, NOW).sources, [
    { of: 'gh-al.potline-1', raised: 2 },
    { of: 'x.one', raised: 1 },
  ])
})

test('findings, serious alerts and what is not raised cannot be put aside', () => {
  const one = { severity: 2, stage: 'early_warning', state: 'firing' } as const
  assert.equal(mayShelve(one), true)
  assert.equal(mayShelve({ ...one, severity: 3 }), false)
  assert.equal(mayShelve({ ...one, stage: 'finding' }), false)
  assert.equal(mayShelve({ ...one, state: 'pending' }), false)
})

test('the longest shelving ends no later than seven days from now', () => {
  const week = Date.parse(endOf(NOW + 999, 168)) - (NOW + 999)
  assert.ok(week <= 7 * 86_400_000 && week > 7 * 86_400_000 - 1000)
  assert.equal(endOf(NOW, DEFAULT_H), '2026-11-21T10:30:00.000Z')
})
