import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clock, day, instant, iso, midnight, stamp } from '../src/core/plant_time.ts'

const ZONE = 'Asia/Shanghai'
const AT = Date.parse('2026-11-21T06:30:05Z')

test('a clock shows plant time in both languages', () => {
  assert.equal(clock(AT, ZONE), '14:30:05')
  assert.equal(stamp(AT, ZONE, 'zh'), '11/21 14:30')
  assert.equal(stamp(AT, ZONE, 'en'), '21/11 14:30')
})

test('midnight is 00, not 24', () => {
  assert.equal(clock(Date.parse('2026-11-20T16:00:00Z'), ZONE), '00:00:00')
  assert.equal(midnight(AT, ZONE), Date.parse('2026-11-20T16:00:00Z'))
  assert.equal(day(midnight(AT, ZONE), ZONE, 'zh'), '11/21')
})

test('an export carries the offset of the plant', () => {
  assert.equal(iso(AT, ZONE), '2026-11-21T14:30:05+08:00')
  assert.equal(iso(AT, 'America/St_Johns'), '2026-11-21T03:00:05-03:30')
  assert.equal(iso(AT + 250, 'UTC'), '2026-11-21T06:30:05+00:00')
})

test('what is no instant is null', () => {
  assert.equal(instant(null), null)
  assert.equal(instant('yesterday'), null)
  assert.equal(instant('2026-11-21T14:30:05+08:00'), AT)
})
