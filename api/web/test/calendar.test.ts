import assert from 'node:assert/strict'
import { test } from 'node:test'
import { as, beginOf, kindOf, nameAt, shifted } from '../src/core/calendar.ts'

const ZONE = 'Asia/Shanghai'

test('a period is named by the plant day it begins on, not by the viewer', () => {
  const late = Date.parse('2026-11-30T16:30:00Z') // 00:30 of December in the plant
  assert.equal(nameAt(late, 'day', ZONE), '2026-12-01')
  assert.equal(nameAt(late, 'month', ZONE), '2026-12')
  assert.equal(nameAt(late, 'year', ZONE), '2026')
  assert.equal(nameAt(late, 'month', 'UTC'), '2026-11')
})

test('a named period begins at the midnight of its zone', () => {
  assert.equal(beginOf('2026-12', ZONE), Date.parse('2026-12-01T00:00:00+08:00'))
  assert.equal(beginOf('2026', ZONE), Date.parse('2026-01-01T00:00:00+08:00'))
  assert.equal(beginOf('2026-07-14', 'America/New_York'), Date.parse('2026-07-14T00:00:00-04:00'))
})

test('every name begins inside itself, in any zone, and the next begins where it ends', () => {
  for (const zone of ['Asia/Shanghai', 'Asia/Kathmandu', 'America/New_York', 'UTC']) {
    for (const name of ['2024-02-29', '2026-03-08', '2026-11-01', '2026-02', '2025']) {
      const kind = kindOf(name)
      assert.equal(nameAt(beginOf(name, zone), kind, zone), name, `${zone} ${name}`)
      assert.equal(nameAt(beginOf(shifted(name, 1), zone) - 1, kind, zone), name, `${zone} ${name}`)
    }
  }
})

test('stepping there and back is where one was, over months and leap days', () => {
  assert.equal(shifted('2026-01', -1), '2025-12')
  assert.equal(shifted('2024-02-28', 1), '2024-02-29')
  for (const name of ['2024-02-29', '2026-12', '2026']) {
    for (const by of [1, 7, 40]) assert.equal(shifted(shifted(name, by), -by), name)
  }
})

test('another kind of the same period begins with it', () => {
  assert.equal(as('2026-10', 'day'), '2026-10-01')
  assert.equal(as('2026-10-07', 'month'), '2026-10')
  assert.equal(as('2026', 'month'), '2026-01')
})
