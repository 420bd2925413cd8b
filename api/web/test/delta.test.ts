import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applied } from '../src/core/delta.ts'
import { settle, EMPTY } from '../src/core/feed.ts'
import { UnitStore } from '../src/core/store.ts'
import { item, unit } from './make.ts'

const held = unit({ current: [item({ indicator: 'x' }), item({ indicator: 'y' })] })

test('one digit of one figure leaves all else as it is, in the same place', () => {
  const after = applied(held, { unit: held.unit, current: { y: { energy: { value: '12' } } } })
  assert.equal(after.current[1]?.energy?.value, '12')
  assert.equal(after.current[1]?.energy?.unit, held.current[1]?.energy?.unit)
  assert.equal(after.current[0], held.current[0])
  assert.deepEqual(after.live, held.live)
})

test('an array replaces the list, null the figure, and an object fills what was null', () => {
  const cleared = applied(held, { current: { x: { intensity: null } }, today: [] })
  assert.equal(cleared.current[0]?.intensity, null)
  assert.deepEqual(cleared.today, [])
  const filled = applied(cleared, { current: { x: { intensity: { value: '1', unit: 'u', uncertainty: null } } } })
  assert.equal(filled.current[0]?.intensity?.value, '1')
})

test('verdicts are told apart by their limit', () => {
  const judged = unit({
    current: [
      item({
        verdicts: [
          { limit: 'a', force: 'target', limit_value: '1', verdict: 'within' },
          { limit: 'b', force: 'target', limit_value: '2', verdict: 'within' },
        ],
      }),
    ],
  })
  const key = judged.current[0]?.indicator ?? ''
  const after = applied(judged, { current: { [key]: { verdicts: { b: { verdict: 'exceeds' } } } } })
  assert.deepEqual(
    after.current[0]?.verdicts.map((one) => one.verdict),
    ['within', 'exceeds'],
  )
})

test('a whole view replaces what is held, and a change without any time is not older', () => {
  const store = new UnitStore()
  store.load([held], 0)
  store.merge([unit({ current: [] })])
  assert.deepEqual(store.find(held.unit)?.current, [])
  const change = { unit: held.unit, live: { allowed_age_s: 60 } }
  const outcome = settle({ ...EMPTY, pending: [change] }, [held])
  assert.deepEqual(outcome.apply, [change])
})
