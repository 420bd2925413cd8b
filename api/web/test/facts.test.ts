import assert from 'node:assert/strict'
import { test } from 'node:test'
import { monthsToClose } from '../src/core/closing.ts'
import { bodyOf, correcting, fresh, standingOf } from '../src/core/facts.ts'
import { ofWall, wall } from '../src/core/wall_time.ts'
import type { Close, Fact } from '../src/core/wire_work.ts'
import { NOW } from './make.ts'

const ZONE = 'Asia/Shanghai'

function fact(change: Partial<Fact> = {}): Fact {
  return {
    id: 'heat-1',
    revision: 0,
    unit: 'gh-al.potline-1',
    kind: 'tapping',
    at: '2026-11-21T06:12:34Z',
    stream: null,
    mass_t: '6.125',
    amount: null,
    amount_unit: null,
    grades: { si: '0.748' },
    source: 'user:a',
    recorded_at: '2026-11-21T06:20:00Z',
    ...change,
  }
}

test('what the plant’s clock shows is the instant that was meant, and comes back', () => {
  assert.equal(ofWall('2026-11-21T14:30', ZONE), NOW)
  assert.equal(wall(NOW, ZONE), '2026-11-21T14:30')
  for (const zone of ['Asia/Urumqi', 'America/New_York', 'Australia/Lord_Howe', 'UTC']) {
    for (let at = NOW; at < NOW + 366 * 86_400_000; at += 5 * 86_400_000 + 60_000) {
      const back = ofWall(wall(at, zone), zone)
      assert.equal(wall(back ?? 0, zone), wall(at, zone), zone)
    }
  }
})

test('a time that the clock skips, or that is none, is no instant', () => {
  assert.equal(ofWall('2026-03-08T02:30', 'America/New_York'), null)
  assert.equal(ofWall('2026-11-21', ZONE), null)
})

test('a fact is sent as it was typed: decimal text stays text, tonnes as mass_t', () => {
  const form = { ...fresh('gh-al.potline-1', NOW, ZONE, 'x'), amount: ' 6.1250 ', grades: 'si = 0.748\n\nal=0.01' }
  const { body, slips } = bodyOf(form, 'gh-al.potline-1', ZONE, null)
  assert.deepEqual(slips, [])
  assert.deepEqual(body, {
    id: 'hand-gh-al.potline-1-202611211430-x',
    revision: 0,
    unit: 'gh-al.potline-1',
    kind: 'tapping',
    at: '2026-11-21T06:30:00.000Z',
    mass_t: '6.1250',
    grades: { si: '0.748', al: '0.01' },
  })
})

test('another unit of measure is sent as an amount with it', () => {
  const form = { ...fresh('u.v', NOW, ZONE, 'x'), amount: '12', unit: 'kWh', stream: 'steam' }
  const { body } = bodyOf(form, 'u.v', ZONE, null)
  assert.deepEqual([body?.['amount'], body?.['amount_unit'], body?.['stream']], ['12', 'kWh', 'steam'])
  assert.equal('mass_t' in (body ?? {}), false)
})

test('every line of the laboratory that says nothing is named, at once', () => {
  const form = { ...fresh('u.v', NOW, ZONE, 'x'), amount: '1', grades: 'si\nal=\nfe=0.1\nfe=0.2', at: 'x' }
  const { body, slips } = bodyOf(form, 'u.v', ZONE, null)
  assert.equal(body, null)
  assert.deepEqual(slips, [['badTime', 'x'], ['badGrade', 'si'], ['badGrade', 'al='], ['badGrade', 'fe=0.2']])
})

test('a correction is the next revision of the same fact and keeps the second it happened at', () => {
  const before = fact({ revision: 2 })
  const form = correcting(before, ZONE)
  const { body } = bodyOf({ ...form, amount: '6.2' }, before.unit, ZONE, before)
  assert.deepEqual(body, {
    id: 'heat-1',
    revision: 3,
    unit: before.unit,
    kind: 'tapping',
    at: before.at,
    mass_t: '6.2',
    grades: { si: '0.748' },
  })
})

test('the newest revision stands, the earlier ones stay behind it, the latest fact is on top', () => {
  const facts = [fact(), fact({ id: 'heat-2', at: '2026-11-21T06:20:00Z' }), fact({ revision: 1 })]
  const rows = standingOf(facts)
  assert.deepEqual(rows.map((row) => [row.fact.id, row.fact.revision]), [['heat-2', 0], ['heat-1', 1]])
  assert.deepEqual(rows[1]?.earlier.map((one) => one.revision), [0])
})

test('the month to close is the one after the newest close; the open one is never offered', () => {
  const close = (month: string) => ({ month }) as Close
  assert.equal(monthsToClose([], NOW, ZONE)[0], '2026-10')
  assert.deepEqual(monthsToClose([close('2026-07')], NOW, ZONE).slice(0, 3), ['2026-08', '2026-09', '2026-10'])
  assert.equal(monthsToClose([close('2026-10')], NOW, ZONE)[0], '2026-09')
  assert.ok(!monthsToClose([], NOW, ZONE).includes('2026-11'))
})
