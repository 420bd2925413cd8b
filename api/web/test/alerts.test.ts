import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  countsOf,
  excess,
  listed,
  marksOf,
  merged,
  NO_ALERTS,
  priorityOf,
  raisedSince,
  siteOf,
  toldOf,
} from '../src/core/alerts.ts'
import { overText } from '../src/core/phrases.ts'
import { alert } from './make.ts'

const ACKNOWLEDGED = { acknowledged_at: '2026-11-21T06:10:00Z', acknowledged_by: 'operator' }

test('severities are read as priorities', () => {
  assert.deepEqual(
    [4, 3, 2, 1, 0].map((severity) => priorityOf({ severity })),
    [1, 1, 2, 3, 0],
  )
})

test('the meters behind a dead gateway are not listed; what was told for itself is', () => {
  const quiet = {
    kind: 'behind',
    told: false,
    since: '2026-11-21T06:00:00Z',
    until: null,
    alert: 'gateway',
    silence: null,
    document: null,
    reason: null,
    by: null,
  }
  const meter = { id: 'meter', kind: 'condition' }
  const held = merged(NO_ALERTS, [
    alert({ id: 'gateway', kind: 'condition', folded: 500 }),
    alert({ ...meter, quiet }),
    alert({ id: 'early', kind: 'condition', state: 'pending', raised_at: null }),
    alert({ id: 'known', kind: 'condition', quiet: { ...quiet, told: true } }),
    alert({ id: 'shelved', quiet: { ...quiet, kind: 'shelved', alert: null } }),
  ])
  assert.deepEqual([...held.keys()], ['gateway', 'known', 'shelved'])
  const freed = merged(held, [alert({ ...meter, quiet: null })])
  assert.ok(freed.has('meter'))
  assert.ok(!merged(freed, [alert({ ...meter, quiet })]).has('meter'))
})

test('an alert that concerns no unit counts, has a site or none, and marks no tile', () => {
  const agent = { kind: 'condition', unit: null, subject: { kind: 'agent', id: 'gh-al.gw-01' } }
  const held = merged(NO_ALERTS, [
    alert({ id: 'agent', ...agent, site: 'gh-al' }),
    alert({ id: 'store', ...agent, site: null }),
    alert({ id: 'limit', unit: 'nx-fa.furnace-1' }),
  ])
  assert.equal(countsOf(held).unacknowledged, 3)
  assert.deepEqual([...marksOf(held).keys()], ['nx-fa.furnace-1'])
  assert.deepEqual(
    [...held.values()].map((one) => siteOf(one)),
    ['gh-al', null, 'nx-fa'],
  )
})

test('what nobody has taken note of comes first, then priority, then the newest', () => {
  const held = merged(NO_ALERTS, [
    alert({ id: 'seen', severity: 3, ...ACKNOWLEDGED }),
    alert({ id: 'old', severity: 1, raised_at: '2026-11-21T05:00:00Z' }),
    alert({ id: 'new', severity: 1, raised_at: '2026-11-21T06:20:00Z' }),
    alert({ id: 'grave', severity: 3 }),
    alert({ id: 'maybe', severity: 3, state: 'pending', raised_at: null }),
    alert({ id: 'event', severity: 0 }),
  ])
  assert.deepEqual(
    listed(held).map((one) => one.id),
    ['grave', 'new', 'old', 'seen', 'maybe', 'event'],
  )
})

test('a resolved alert leaves, a repeated one changes nothing', () => {
  const held = merged(NO_ALERTS, [alert(), alert({ id: 'a2' })])
  assert.equal(merged(held, [alert()]).size, 2)
  assert.deepEqual([...merged(held, [alert({ state: 'resolved' })]).keys()], ['a2'])
  assert.equal(merged(held, []), held)
})

test('an event that was under way does not undo an acknowledgement, a new episode does', () => {
  const held = merged(NO_ALERTS, [alert(ACKNOWLEDGED)])
  assert.equal(merged(held, [alert()]).get('a1')?.acknowledged_by, 'operator')
  const again = alert({ raised_at: '2026-11-21T06:29:00Z' })
  assert.equal(merged(held, [again]).get('a1')?.acknowledged_by, null)
})

test('counts are per priority; pending ones and events are not counted', () => {
  const held = merged(NO_ALERTS, [
    alert({ severity: 4 }),
    alert({ id: 'b', severity: 1, ...ACKNOWLEDGED }),
    alert({ id: 'c', severity: 1, state: 'clearing' }),
    alert({ id: 'd', state: 'pending' }),
    alert({ id: 'e', severity: 0 }),
  ])
  assert.deepEqual(countsOf(held), { 1: 1, 2: 0, 3: 2, unacknowledged: 2 })
})

test('a tile carries the gravest alert of its unit until all are acknowledged', () => {
  const held = merged(NO_ALERTS, [
    alert({ severity: 3, ...ACKNOWLEDGED }),
    alert({ id: 'b', severity: 1 }),
  ])
  assert.deepEqual(marksOf(held).get('gh-al.potline-1'), { priority: 1, acknowledged: false })
  const seen = merged(held, [alert({ id: 'b', severity: 1, ...ACKNOWLEDGED })])
  assert.equal(marksOf(seen).get('gh-al.potline-1')?.acknowledged, true)
})

test('only what was raised since is new', () => {
  const before = merged(NO_ALERTS, [alert(), alert({ id: 'b', state: 'pending' })])
  const after = merged(before, [alert({ id: 'b' }), alert({ id: 'c' }), alert(ACKNOWLEDGED)])
  assert.deepEqual(
    raisedSince(before, after).map((one) => one.id),
    ['b', 'c'],
  )
})

test('how much is positive when worse, and unknown without a value', () => {
  assert.ok(Math.abs((excess(alert()) ?? 0) - 350 / 13350) < 1e-12)
  assert.ok((excess(alert({ cmp: '>=' })) ?? 0) < 0)
  assert.equal(excess(alert({ value: null })), null)
})

test('delivered is what a channel has receipted', () => {
  assert.equal(toldOf(alert()).told, 'nobody')
  const waiting = { channel: 'mail', state: 'waiting', attempts: 2, receipt: null }
  const done = { channel: 'regulator', state: 'delivered', attempts: 1, receipt: 'R-1' }
  assert.equal(toldOf(alert({ deliveries: [waiting] })).told, 'waiting')
  assert.deepEqual(toldOf(alert({ deliveries: [waiting, done] })), {
    told: 'delivered',
    channel: 'regulator',
    receipt: 'R-1',
  })
})

test('an exceeded limit is named by its force', () => {
  const target = { force: 'target', limit_value: '12750' }
  assert.equal(overText('zh', target, 'kWh/t'), '超目标 12\u2009750')
  assert.equal(overText('en', { force: 'mandatory', limit_value: '117' }, 'kgce/t'), 'over mandatory 117.0')
})
