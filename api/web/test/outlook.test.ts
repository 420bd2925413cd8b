import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chanceText, runningMean, wayAhead } from '../src/core/outlook.ts'
import type { PeriodItem } from '../src/core/wire.ts'
import type { Forecast } from '../src/core/wire_outlook.ts'

const DAY = 86_400_000
const START = Date.parse('2026-11-01T00:00:00+08:00')

function day(n: number, intensity: string | null, output: string | null): PeriodItem {
  return {
    indicator: 'x',
    period: 'day',
    period_start: new Date(START + n * DAY).toISOString(),
    period_end: new Date(START + (n + 1) * DAY).toISOString(),
    closed: true,
    energy: null,
    output: { value: output, unit: 't' },
    intensity: { value: intensity, unit: 'kWh/t', uncertainty: null },
    completeness: 1,
    flags: [],
    verdicts: [],
  }
}

test('the running mean is energy over output, not a mean of means', () => {
  const runs = runningMean([day(0, '100', '1'), day(1, '200', '3')], START, START + 2 * DAY)
  assert.deepEqual(runs.map((run) => run.mean), [100, 175])
})

test('a day without a figure is a gap, and nothing is carried over it', () => {
  const some = [day(0, '100', '1'), day(2, null, '5'), day(3, '300', '1')]
  const runs = runningMean(some, START, START + 4 * DAY)
  assert.deepEqual(runs.map((run) => run.mean), [100, null, null, 200])
  assert.equal(runs[1]?.completeness, null)
})

test('order of the days does not matter, and days outside the period do not count', () => {
  const days = [day(1, '200', '3'), day(0, '100', '1'), day(-1, '900', '9'), day(2, '900', '9')]
  assert.deepEqual(
    runningMean(days, START, START + 2 * DAY).map((run) => run.mean),
    [100, 175],
  )
})

function forecast(change: Partial<Forecast> = {}): Forecast {
  return {
    unit: 'u',
    indicator: 'x',
    period: 'month',
    period_start: new Date(START).toISOString(),
    period_end: new Date(START + 30 * DAY).toISOString(),
    known_until: new Date(START + 10 * DAY).toISOString(),
    days_known: 10,
    reasons: [],
    so_far: {
      energy: { value: '1000', unit: 'kWh', estimated: '0' },
      output: { value: '10', unit: 't' },
      intensity: { value: '100', unit: 'kWh/t', uncertainty: '1' },
      completeness: 1,
      flags: [],
    },
    ahead: { from: '', days: 20, output: { value: '20', unit: 't' }, by: 'pace' },
    forecast: { value: '130', unit: 'kWh/t', p2_5: '110', p10: '120', p90: '140', p97_5: '150' },
    limits: [],
    cost: null,
    sentence: {},
    computed_at: '',
    ...change,
  }
}

test('the way ahead begins where the period stands and ends at what is foreseen', () => {
  const way = wayAhead(forecast(), 20)
  assert.equal(way[0]?.value, 100)
  assert.equal(way[0]?.highest, 100)
  const end = way.at(-1)
  assert.deepEqual(
    [end?.lowest, end?.low, end?.value, end?.high, end?.highest],
    [110, 120, 130, 140, 150],
  )
})

test('at an even pace the mean bends: halfway it has gone more than half of its way', () => {
  const way = wayAhead(forecast(), 2)
  // 10 t at 100 and 10 of the 20 t to come at 145: (1000 + 1450) / 20.
  assert.equal(way[1]?.value, 122.5)
})

test('bands never cross, whatever the outputs', () => {
  for (const before of ['0.5', '10', '900']) {
    const so = forecast().so_far
    if (!so) throw new Error('a forecast without a past')
    const way = wayAhead(forecast({ so_far: { ...so, output: { value: before, unit: 't' } } }))
    for (const at of way) {
      assert.ok(at.lowest <= at.low && at.low <= at.value, before)
      assert.ok(at.value <= at.high && at.high <= at.highest, before)
    }
  }
})

test('without a forecast, or without anything to come, there is no way to draw', () => {
  assert.deepEqual(wayAhead(forecast({ forecast: null })), [])
  assert.deepEqual(wayAhead(forecast({ ahead: null })), [])
})

test('a chance is never told as certain', () => {
  assert.deepEqual([1, 0.995, 0.5, 0.004, 0, null].map(chanceText), ['> 99%', '> 99%', '50%', '< 1%', '< 1%', '—'])
})
