import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviation, gradeOf, gravest, isAbnormal, judge, leading } from '../src/core/verdicts.ts'
import { item, NOW, unit, verdict } from './make.ts'

const MANDATORY = verdict()
const TARGET = verdict({ limit: 'b', force: 'target', limit_value: '12750', level: null })

test('a mandatory limit leads a target, and a lapsed one comes last', () => {
  const lapsed = verdict({ limit: 'c', lapsed: true })
  assert.equal(leading(item({ verdicts: [TARGET, MANDATORY] }))?.limit, 'a.limit')
  assert.equal(leading(item({ verdicts: [lapsed, TARGET] }))?.limit, 'b')
})

test('the limit for existing plant leads the stricter levels of one force', () => {
  const levels = [1, 3, 2].map((level) => verdict({ limit: `l${level}`, level }))
  assert.equal(leading(item({ verdicts: levels }))?.limit, 'l3')
})

test('a limit that does not apply never leads', () => {
  const off = verdict({ verdict: 'not_applicable' })
  assert.equal(leading(item({ verdicts: [off] })), undefined)
  assert.equal(judge(unit({ current: [item({ verdicts: [off] })] }), 'month', NOW).standing, 'unjudged')
})

test('positive is worse, for lower limits too', () => {
  const made = item({ intensity: { value: '110', unit: '%', uncertainty: null } })
  assert.equal(deviation(made, verdict({ limit_value: '100', cmp: '<=' })), 0.1)
  assert.equal(deviation(made, verdict({ limit_value: '100', cmp: '>=' })), -0.1)
})

test('a unit is drawn as its leading verdict says', () => {
  const drawn = (word: 'exceeds' | 'indeterminate' | 'incomplete', value: string): string =>
    judge(
      unit({
        current: [
          item({
            intensity: { value, unit: 'kWh/t', uncertainty: '80' },
            verdicts: [verdict({ verdict: word })],
          }),
        ],
      }),
      'month',
      NOW,
    ).standing
  assert.equal(drawn('exceeds', '13700'), 'exceeds')
  assert.equal(drawn('indeterminate', '13360'), 'indeterminate')
  assert.equal(drawn('incomplete', '12000'), 'incomplete')
  assert.equal(judge(unit(), 'month', NOW).standing, 'within')
})

test('within but close is near', () => {
  const near = item({ intensity: { value: '13300', unit: 'kWh/t', uncertainty: '10' } })
  assert.equal(judge(unit({ current: [near] }), 'month', NOW).standing, 'near')
})

test('a unit without fresh data is never normal', () => {
  const old = { measured_at: '2026-11-21T06:29:29Z', power_kw: '1', allowed_age_s: 30 }
  assert.equal(judge(unit({ live: old }), 'month', NOW).standing, 'stale')
  const never = { measured_at: null, power_kw: null, allowed_age_s: 30 }
  assert.equal(judge(unit({ live: never }), 'month', NOW).standing, 'stale')
})

const OVER = { verdict: 'exceeds' } as const
const REFERENCE = verdict({ limit: 'r', force: 'reference', limit_value: '12900', ...OVER })
const LAPSED = { ...TARGET, lapsed: true, ...OVER }

test('a unit over a target is drawn as exceeding, its bar still centred on the mandatory limit', () => {
  const judged = judge(
    unit({ current: [item({ verdicts: [MANDATORY, { ...TARGET, ...OVER }, LAPSED, REFERENCE] })] }),
    'month',
    NOW,
  )
  assert.equal(judged.standing, 'exceeds')
  assert.equal(judged.grade, 'target')
  assert.equal(judged.over?.limit, 'b')
  assert.equal(judged.verdict?.limit, 'a.limit')
  assert.equal(judged.notedExceeds, 1)
})

test('a lapsed target is still seen, and told apart from one in force', () => {
  const judged = judge(unit({ current: [item({ verdicts: [MANDATORY, LAPSED] })] }), 'month', NOW)
  assert.equal(judged.standing, 'exceeds')
  assert.equal(judged.grade, 'lapsed')
})

test('a mandatory limit outweighs every target, of equals the strictest is named', () => {
  const strict = { ...TARGET, limit: 'strict', limit_value: '12000', ...OVER }
  const made = item({ verdicts: [{ ...TARGET, ...OVER }, strict, MANDATORY] })
  assert.equal(gravest(made)?.limit, 'strict')
  const both = item({ verdicts: [strict, { ...MANDATORY, ...OVER }] })
  assert.equal(gravest(both)?.limit, 'a.limit')
  assert.equal(gradeOf({ force: 'brand_new' }), 'reference')
})

test('exceeding only references is noted without colour', () => {
  const judged = judge(unit({ current: [item({ verdicts: [MANDATORY, REFERENCE] })] }), 'month', NOW)
  assert.equal(judged.standing, 'within')
  assert.equal(judged.over, undefined)
  assert.equal(judged.notedExceeds, 1)
})

test('an exceedance on another indicator of the unit is not overlooked', () => {
  const other = item({ indicator: 'other', verdicts: [verdict(OVER)] })
  const judged = judge(unit({ current: [item(), other] }), 'month', NOW)
  assert.equal(judged.standing, 'within')
  assert.ok(judged.elsewhere && isAbnormal(judged))
})
