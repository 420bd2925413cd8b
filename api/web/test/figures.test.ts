import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  axisPlaces,
  completenessText,
  deviationText,
  figure,
  fixed,
  MISSING,
  numberOf,
  powerText,
} from '../src/core/figures.ts'

test('five digits are grouped by a thin space, four are not', () => {
  assert.equal(fixed(13268, 0), '13\u2009268')
  assert.equal(fixed(8300, 0), '8300')
  assert.equal(fixed(1234567.891, 1), '1\u2009234\u2009567.9')
})

test('a minus is a true minus and zero has none', () => {
  assert.equal(fixed(-12.34, 1), '\u221212.3')
  assert.equal(fixed(-0.04, 1), '0.0')
})

test('what is absent is a dash, never zero and never NaN', () => {
  for (const absent of [null, undefined, '', 'x']) assert.equal(figure(absent, 'kWh/t'), MISSING)
  assert.equal(figure('0', 'kWh/t'), '0')
  assert.equal(deviationText(null), MISSING)
  assert.equal(completenessText(null), MISSING)
  assert.equal(powerText(null).value, MISSING)
  assert.equal(numberOf('Infinity'), null)
})

test('an intensity has the places of its unit', () => {
  assert.equal(figure('12750.4', 'kWh/t'), '12\u2009750')
  assert.equal(figure('105.04', 'kgce/t'), '105.0')
})

test('a deviation is always signed', () => {
  assert.equal(deviationText(0.0311), '+3.1%')
  assert.equal(deviationText(-0.0061, 2), '\u22120.61%')
  assert.equal(deviationText(-0.0001), '±0.0%')
})

test('completeness is rounded down, so nearly whole is not whole', () => {
  assert.equal(completenessText(0.9996), '99.9%')
  assert.equal(completenessText(1), '100.0%')
  assert.equal(completenessText(0.913), '91.3%')
})

test('power is in MW from ten megawatts', () => {
  assert.deepEqual(powerText('441234.1'), { value: '441.2', unit: 'MW' })
  assert.deepEqual(powerText('1690.2'), { value: '1690', unit: 'kW' })
})

test('labels of an axis differ however close its ends lie', () => {
  const ranges: [number, number][] = [[8000, 8400], [103.9, 104.1], [0.0012, 0.0013], [12, 13]]
  for (const range of ranges) {
    const places = axisPlaces(range, 0)
    const step = (range[1] - range[0]) / 5
    const labels = Array.from({ length: 6 }, (_, n) => fixed(range[0] + n * step, places))
    assert.equal(new Set(labels).size, labels.length, labels.join(' '))
  }
  assert.equal(axisPlaces([8000, 8400], 0), 0)
  assert.equal(axisPlaces([5, 5], 1), 1)
})
