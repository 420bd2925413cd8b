import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EMPTY, idOf, settle, take, type Feed, type FeedEvent } from '../src/core/feed.ts'
import { UnitStore } from '../src/core/store.ts'
import { item, unit } from './make.ts'

const fresh = unit({
  live: { measured_at: '2026-11-21T06:30:30Z', power_kw: '2', allowed_age_s: 30 },
})
const old = unit({
  live: { measured_at: '2026-11-21T06:29:00Z', power_kw: '1', allowed_age_s: 30 },
  current: [],
})
const SETTLED: Feed = { ...EMPTY, epoch: 'e', sequence: 5, awaiting: false }

function changes(id: string): FeedEvent {
  return { kind: 'units', id, items: [fresh] }
}

test('an id has an epoch that may hold dashes', () => {
  assert.deepEqual(idOf('2026-a-17'), { epoch: '2026-a', sequence: 17 })
  assert.equal(idOf(''), null)
  assert.equal(idOf('e-x'), null)
})

test('a change is applied once', () => {
  const first = take(SETTLED, changes('e-6'))
  assert.equal(first.apply.length, 1)
  assert.equal(take(first.feed, changes('e-6')).apply.length, 0)
})

test('a jump in numbers is a merged change of a resumed stream, and is applied', () => {
  const outcome = take(SETTLED, changes('e-60'))
  assert.equal(outcome.apply.length, 1)
  assert.equal(outcome.fetch, false)
})

test('a new epoch asks for a snapshot and starts counting anew', () => {
  const outcome = take(SETTLED, changes('f-1'))
  assert.equal(outcome.fetch, true)
  assert.equal(outcome.apply.length, 0)
  const after = settle(outcome.feed, [old])
  assert.deepEqual(after.apply, [fresh])
  assert.equal(take(after.feed, changes('f-2')).apply.length, 1)
})

test('a resync asks for a snapshot', () => {
  const outcome = take(SETTLED, { kind: 'resync', id: 'e-7' })
  assert.equal(outcome.fetch, true)
  assert.equal(outcome.feed.awaiting, true)
})

test('a change that came while the snapshot was under way is applied after it', () => {
  const waiting = take(EMPTY, changes('e-1'))
  assert.equal(waiting.apply.length, 0)
  assert.deepEqual(settle(waiting.feed, [old]).apply, [fresh])
})

test('a change older than the snapshot is dropped', () => {
  const waiting = take(EMPTY, { kind: 'units', id: 'e-1', items: [old] })
  assert.deepEqual(settle(waiting.feed, [fresh]).apply, [])
})

test('a kept change is compared with the snapshot by the members it brings', () => {
  const reading = { unit: fresh.unit, live: fresh.live }
  const waiting = take(EMPTY, { kind: 'units', id: 'e-1', items: [reading] })
  const later = unit({ current: [item({ computed_at: '2026-11-21T07:00:00Z' })] })
  assert.deepEqual(settle(waiting.feed, [later]).apply, [reading])
  assert.deepEqual(settle(waiting.feed, [{ ...later, live: { ...fresh.live, measured_at: '2026-11-21T06:30:31Z' } }]).apply, [])
})

test('a change moves only the members it brings', () => {
  const store = new UnitStore()
  store.load([old], 1)
  store.merge([{ unit: old.unit, live: fresh.live }])
  assert.deepEqual(store.find(old.unit), { ...old, live: fresh.live })
})

test('a unit that was never told whole is not shown', () => {
  const store = new UnitStore()
  store.load([], 1)
  store.merge([{ unit: 'b', live: fresh.live }])
  assert.deepEqual(store.units, [])
})

test('a heartbeat changes nothing', () => {
  assert.deepEqual(take(SETTLED, { kind: 'heartbeat', id: '' }).apply, [])
})

test('the store keeps the server order and appends a unit it has never seen', () => {
  const store = new UnitStore()
  const told: number[][] = []
  store.subscribe((changed) => told.push([...changed]))
  store.load([old, unit({ unit: 'b' })], 1)
  store.merge([fresh, unit({ unit: 'c' })])
  assert.deepEqual(
    store.units.map((u) => u.unit),
    ['gh-al.potline-1', 'b', 'c'],
  )
  assert.deepEqual(store.find('gh-al.potline-1'), fresh)
  assert.deepEqual(told, [[0, 1], [0, 2]])
  store.clear()
  assert.equal(store.loadedAt, null)
})
