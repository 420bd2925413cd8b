import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addUp } from '../src/chart/power.ts'
import { toPower, toSeries, yRange } from '../src/core/series.ts'
import { dayItem, item } from './make.ts'

const DAY = 86_400_000
const at = (date: string): number => Date.parse(`${date}T00:00:00+08:00`)

test('an absent day is a gap, and so is a day without a figure', () => {
  const items = [dayItem('2026-11-05', '1'), dayItem('2026-11-06', null), dayItem('2026-11-08', '2')]
  const series = toSeries(items, at('2026-11-05'), at('2026-11-09'))
  assert.deepEqual(
    series.buckets.map((b) => b.value),
    [1, null, null, 2],
  )
  assert.deepEqual(series.gaps, [{ from: at('2026-11-06'), to: at('2026-11-08') }])
})

test('time before the first and after the last item is a gap too', () => {
  const series = toSeries([dayItem('2026-11-05', '1')], at('2026-11-03'), at('2026-11-07'))
  assert.equal(series.gaps.length, 2)
  assert.equal(series.gaps[0]?.to, at('2026-11-05'))
})

test('the order of arrival does not matter and a repeated period counts once', () => {
  const items = [dayItem('2026-11-05', '1'), dayItem('2026-11-06', '2'), dayItem('2026-11-07', '3')]
  const from = at('2026-11-05')
  const one = toSeries(items, from, from + 3 * DAY)
  assert.deepEqual(toSeries([...items].reverse().concat(items), from, from + 3 * DAY), one)
})

test('a lone figure between gaps is named, for a line cannot show it', () => {
  const items = [dayItem('2026-11-05', null), dayItem('2026-11-06', '2'), dayItem('2026-11-07', null)]
  assert.deepEqual(toSeries(items, at('2026-11-05'), at('2026-11-08')).lone, [1])
})

test('what is not a number is a gap, never a line', () => {
  const series = toSeries([dayItem('2026-11-05', 'NaN')], at('2026-11-05'), at('2026-11-06'))
  assert.equal(series.buckets[0]?.value, null)
})

test('a limit steps where its value changes and runs on through missing data', () => {
  const items = [
    dayItem('2026-11-05', '1', '13350'),
    dayItem('2026-11-07', '1', '13350'),
    dayItem('2026-11-08', '1', '13000'),
  ]
  const { steps } = toSeries(items, at('2026-11-05'), at('2026-11-09'))
  assert.deepEqual(
    steps.map((step) => [step.from, step.to, step.value]),
    [
      [at('2026-11-05'), at('2026-11-08'), 13350],
      [at('2026-11-08'), at('2026-11-09'), 13000],
    ],
  )
})

test('the range always holds the limit with three percent around it', () => {
  const made = toSeries([dayItem('2026-11-05', '13000')], at('2026-11-05'), at('2026-11-06'))
  const range = yRange(made)
  assert.ok(range && range[0] <= 13350 * 0.97 && range[1] >= 13350 * 1.03)
  assert.equal(yRange(toSeries([], 0, DAY)), null)
})

test('power is measured energy over measured time; estimates stay out of it', () => {
  const hour = item({
    period: 'hour',
    period_start: '2026-11-21T10:00:00+08:00',
    period_end: '2026-11-21T11:00:00+08:00',
    closed: true,
    energy: { value: '1000', estimated: '600', unit: 'kWh' },
    completeness: 0.5,
    computed_at: '2026-11-21T05:00:00Z',
  })
  const from = Date.parse('2026-11-21T02:00:00Z')
  assert.equal(toPower([hour], from, from + 3_600_000, from + DAY)[0]?.kilowatts, 800)
})

test('a period without energy is a gap in power, not zero', () => {
  const from = Date.parse('2026-11-21T02:00:00Z')
  const none = item({
    period: 'hour',
    period_start: '2026-11-21T10:00:00+08:00',
    period_end: '2026-11-21T11:00:00+08:00',
    closed: true,
    energy: { value: null, estimated: null, unit: 'kWh' },
  })
  const power = toPower([none], from, from + 2 * 3_600_000, from + DAY)
  assert.deepEqual(
    power.map((p) => p.kilowatts),
    [null, null],
  )
})

test('meters add up with their signs, and an hour one of them lacks is left out', () => {
  const hour = (start: string, value: string): ReturnType<typeof item> =>
    item({ period_start: start, energy: { value, estimated: '0', unit: 'kWh' } })
  const sum = addUp([[hour('a', '10'), hour('b', '5')], [hour('a', '4')]], [1, -1])
  assert.equal(sum.length, 1)
  assert.equal(sum[0]?.energy?.value, '6')
})

test('a day that has only begun does not flatten the ended ones; alone it sets the scale', () => {
  const young = { ...dayItem('2026-11-05', '5000'), closed: false }
  const ended = ['2026-11-02', '2026-11-03', '2026-11-04'].map((date) => dayItem(date, '13300'))
  const from = Date.parse('2026-11-02T00:00:00+08:00')
  const to = Date.parse('2026-11-05T03:00:00+08:00')
  const among = yRange(toSeries([...ended, young], from, to))
  const alone = yRange(toSeries([young], from, to))
  assert.ok(among && among[0] > 12_000, String(among))
  assert.ok(alone && alone[0] < 5_000, String(alone))
})
