import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  backoffMs,
  LATE_AFTER_MS,
  LOST_AFTER_MS,
  next,
  presentOf,
  SILENT,
} from '../src/core/link.ts'

const LIVE = next(SILENT, { kind: 'heard', serverAt: 1_000_000 }, 0)

test('silence makes the link late, then lost', () => {
  assert.equal(next(LIVE, { kind: 'tick' }, LATE_AFTER_MS - 1).phase, 'live')
  assert.equal(next(LIVE, { kind: 'tick' }, LATE_AFTER_MS).phase, 'late')
  assert.equal(next(LIVE, { kind: 'tick' }, LOST_AFTER_MS).phase, 'lost')
})

test('a break is lost at once, and a word brings it back', () => {
  const lost = next(LIVE, { kind: 'broken' }, 100)
  assert.equal(lost.phase, 'lost')
  assert.equal(next(lost, { kind: 'heard', serverAt: null }, 200).phase, 'live')
})

test('the present stands still while the link is lost', () => {
  assert.equal(presentOf(LIVE, 400), 1_000_400)
  const lost = next(LIVE, { kind: 'broken' }, 500)
  assert.equal(presentOf(lost, 60_000), 1_000_000)
})

test('a word without a time carries the last one forward', () => {
  const later = next(LIVE, { kind: 'heard', serverAt: null }, 700)
  assert.equal(presentOf(later, 700), 1_000_700)
})

test('a stranger hears nothing until signing in', () => {
  const stranger = next(LIVE, { kind: 'refused' }, 10)
  assert.equal(next(stranger, { kind: 'heard', serverAt: 1 }, 20).phase, 'stranger')
  assert.equal(next(stranger, { kind: 'begin' }, 30).phase, 'connecting')
})

test('attempts wait 1, 2, 5, then 15 seconds', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 9].map((n) => backoffMs(n, 0.5)),
    [1000, 2000, 5000, 15_000, 15_000],
  )
})
