import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyOf, doingsOf, dueText, filterOf, FORMS, ordered, saidAt, sideOf, urgencyOf } from '../src/core/casebook.ts'
import { DOINGS, type Case, type Doing, type Waiting } from '../src/core/wire_work.ts'
import { alert, NOW } from './make.ts'

const HOUR_MS = 3_600_000

function waiting(change: Partial<Waiting> = {}): Waiting {
  return {
    side: 'plant',
    duty: 'explain',
    due_at: new Date(NOW + 72 * HOUR_MS).toISOString(),
    working_days: 10,
    working_days_left: 3,
    calendar_known: true,
    overdue: false,
    told_at: null,
    ...change,
  }
}

function one(id: string, change: Partial<Case> = {}): Case {
  return {
    id,
    number: 1,
    site: 'gh-al',
    state: 'delivered',
    since: '2026-11-21T06:00:00Z',
    severity: 2,
    closes: 'both',
    opened_at: '2026-11-21T06:00:00Z',
    updated_at: '2026-11-21T06:00:00Z',
    plan_due: null,
    waiting: waiting(),
    may: [],
    alert: alert(),
    ...change,
  }
}

test('a clock is overdue from its very instant on, whatever was said when it was read', () => {
  const due = new Date(NOW).toISOString()
  assert.equal(urgencyOf(waiting({ due_at: due }), NOW), 'overdue')
  assert.equal(urgencyOf(waiting({ due_at: due }), NOW - 1), 'today')
})

test('an escalated case is overdue although no time runs', () => {
  assert.equal(urgencyOf(waiting({ due_at: null, overdue: true }), NOW), 'overdue')
  assert.equal(urgencyOf(waiting({ due_at: null }), NOW), 'still')
  assert.equal(urgencyOf(null, NOW), 'still')
})

test('a time that ends with a day is said as that day at 24:00', () => {
  assert.equal(dueText(Date.parse('2026-11-30T16:00:00Z'), 'Asia/Shanghai', 'zh'), '11/30 24:00')
  assert.equal(dueText(Date.parse('2026-11-30T16:01:00Z'), 'Asia/Shanghai', 'en'), '01/12 00:01')
})

test('with no working day left it presses today, even over a weekend', () => {
  assert.equal(urgencyOf(waiting({ working_days_left: 0 }), NOW), 'today')
  assert.equal(urgencyOf(waiting(), NOW), 'running')
})

test('what presses most stands on top, what has ended at the bottom', () => {
  const cases = [
    one('ended', { state: 'closed', waiting: null, severity: 4 }),
    one('mild', { severity: 1 }),
    one('late', { severity: 1, waiting: waiting({ overdue: true }) }),
    one('grave', { severity: 3 }),
    one('sooner', { severity: 3, waiting: waiting({ due_at: new Date(NOW + 48 * HOUR_MS).toISOString() }) }),
  ]
  assert.deepEqual(ordered(cases, NOW).map((each) => each.id), ['late', 'sooner', 'grave', 'mild', 'ended'])
})

test('an inspector speaks for the regulator, an admin for the plant', () => {
  assert.equal(sideOf('regulator'), 'regulator')
  assert.equal(sideOf('admin'), 'plant')
  assert.equal(filterOf('mine', 'regulator'), 'state=open&waits_for=regulator')
})

test('only what the server lets this role do is offered, in the order of a case’s life', () => {
  const may = ['close', 'dance', 'acknowledge'] as unknown as Doing[]
  assert.deepEqual(doingsOf({ may }), ['acknowledge', 'close'])
})

test('a request says what its form asks for and nothing else', () => {
  const said = { cause: 'equipment', text: ' Worn lining. ', due: '2027-01-31', attachments: ['p'] }
  const body = (doing: Doing) => bodyOf(doing, said)
  assert.equal(body('acknowledge'), undefined)
  assert.deepEqual(body('explain'), { cause: 'equipment', text: 'Worn lining.', attachments: ['p'] })
  assert.deepEqual(body('plan'), { text: 'Worn lining.', due: '2027-01-31', attachments: ['p'] })
  assert.deepEqual(body('close'), { text: 'Worn lining.', attachments: ['p'] })
  assert.deepEqual(bodyOf('accept', { ...said, text: '  ', attachments: [] }), {})
  assert.deepEqual(Object.keys(FORMS).sort(), [...DOINGS].sort())
})

test('a step of the history shows its words apart from the rest', () => {
  const said = saidAt({ text: 'Why', cause: 'weather', attachments: ['p'], nested: { a: 1 } })
  assert.deepEqual(said, { text: 'Why', rest: [['cause', 'weather']] })
})
