import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readPack } from '../src/core/pack.ts'

const lines = (...rows: object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const COVER = { member: 'evidence', begin_us: 10_000_000, end_us: 20_000_000 }
const first = { member: 'readings', point: 'p', at_us: [8_000_000, 1_500_000, 3_000_000], value: [1, 2, 3], quality: [0, 1, 0] }
const second = { member: 'readings', point: 'p', at_us: [19_000_000, 1_500_000, 1_000_000], value: [8, 9, 10], quality: [0, 0, 2] }

test('the registers are those that frame the period, whatever the order of the lines', () => {
  for (const rows of [
    [COVER, first, second],
    [COVER, second, first],
  ]) {
    const meter = readPack(lines(...rows)).meters[0]
    assert.deepEqual(meter?.first, { atMs: 9_500, value: 2, quality: 1 })
    assert.deepEqual(meter?.last, { atMs: 20_500, value: 9, quality: 0 })
    assert.equal(meter?.readings, 6)
  }
})

test('where nothing frames the period, the nearest reading inside it stands', () => {
  const inside = { ...first, at_us: [11_000_000, 1_000_000, 1_000_000] }
  const meter = readPack(lines(COVER, inside)).meters[0]
  assert.deepEqual([meter?.first?.value, meter?.last?.value], [1, 3])
})

test('a bad reading has no value, and that is not zero', () => {
  const bad = { ...first, value: [null, null, 3], quality: [2, 2, 0] }
  assert.equal(readPack(lines(COVER, bad)).meters[0]?.first?.value, null)
})

test('members are counted and the seal is told', () => {
  const seal = { member: 'seal', sha256: 'ab', signature: null }
  const view = readPack(lines(COVER, first, second, seal))
  assert.deepEqual(view.members, [['evidence', 1], ['readings', 2], ['seal', 1]])
  assert.deepEqual([view.lines, view.sha256, view.signed], [4, 'ab', false])
  assert.equal(readPack(lines({ ...seal, signature: 'xx' })).signed, true)
})

test('a pack that was cut is refused, not shown in part', () => {
  assert.throws(() => readPack(lines(COVER, first).slice(0, -9)), SyntaxError)
})
