// Cases as people read them: whose turn it is, how long is left, what may be done now. Pure.

import { day, instant, minute, type Lang } from './plant_time.ts'
import { DOINGS, type Case, type Doing, type Side, type Waiting } from './wire_work.ts'

/** Lists of cases: what waits for the viewer's side first. */
export const SHOWS = ['mine', 'open', 'overdue', 'all'] as const
export type Show = (typeof SHOWS)[number]

/** A person with the role `regulator` speaks for the regulator, everybody else for the plant. */
export function sideOf(role: string | undefined): Side {
  return role === 'regulator' ? 'regulator' : 'plant'
}

/** The query of a list. */
export function filterOf(show: Show, side: Side): string {
  if (show === 'mine') return `state=open&waits_for=${side}`
  if (show === 'overdue') return 'state=open&overdue=true'
  return show === 'open' ? 'state=open' : ''
}

const ENDED: ReadonlySet<string> = new Set(['closed', 'withdrawn'])

export function isOpen(one: Case): boolean {
  return !ENDED.has(one.state)
}

export type Urgency = 'overdue' | 'today' | 'running' | 'still'

/** How pressing a clock is; `still`: no time runs. */
export function urgencyOf(waiting: Waiting | null, now: number): Urgency {
  if (waiting === null) return 'still'
  const due = instant(waiting.due_at)
  if (waiting.overdue || (due !== null && due <= now)) return 'overdue'
  if (due === null) return 'still'
  return (waiting.working_days_left ?? null) === 0 || due - now < 86_400_000 ? 'today' : 'running'
}

/** `11/30 24:00` for a time that runs out with the end of a day, else `11/21 18:30`. */
export function dueText(due: number, zone: string, lang: Lang): string {
  const clock = minute(due, zone)
  return clock === '00:00' ? `${day(due - 1, zone, lang)} 24:00` : `${day(due, zone, lang)} ${clock}`
}

/** Whether somebody has taken note; an escalated case asks for it again. */
export function isNoted(one: Pick<Case, 'state'>): boolean {
  return !['raised', 'delivered', 'escalated'].includes(one.state)
}

const RANK: Readonly<Record<Urgency, number>> = { overdue: 0, today: 1, running: 2, still: 3 }

/** What presses first: open before ended, run out before running, graver first, then who is due. */
export function ordered(cases: readonly Case[], now: number): Case[] {
  const key = (one: Case): readonly number[] => [
    isOpen(one) ? 0 : 1,
    isOpen(one) ? RANK[urgencyOf(one.waiting, now)] : 0,
    isOpen(one) ? -one.severity : 0,
    isOpen(one) ? (instant(one.waiting?.due_at) ?? Number.MAX_SAFE_INTEGER) : 0,
    -(instant(one.opened_at) ?? 0),
  ]
  return [...cases].sort((a, b) => {
    const [left, right] = [key(a), key(b)]
    const at = left.findIndex((value, n) => value !== right[n])
    return at < 0 ? a.id.localeCompare(b.id) : (left[at] ?? 0) - (right[at] ?? 0)
  })
}

/** What the viewer may do with a case, in the order of its life; unknown words are left out. */
export function doingsOf(one: Pick<Case, 'may'>): Doing[] {
  return DOINGS.filter((doing) => one.may.includes(doing))
}

/** What a form of a doing asks for. */
export interface Form {
  readonly cause: boolean
  readonly text: 'needed' | 'optional' | 'none'
  readonly due: boolean
  readonly files: boolean
}

const TEXT: Form = { cause: false, text: 'needed', due: false, files: true }
export const FORMS: Readonly<Record<Doing, Form>> = {
  acknowledge: { cause: false, text: 'none', due: false, files: false },
  explain: { ...TEXT, cause: true },
  plan: { ...TEXT, due: true },
  accept: { ...TEXT, text: 'optional' },
  dispute: TEXT,
  close: TEXT,
}

export interface Said {
  readonly cause: string
  readonly text: string
  readonly due: string
  readonly attachments: readonly string[]
}

/** The body of a request: what the form asks for, and nothing else. */
export function bodyOf(doing: Doing, said: Said): Readonly<Record<string, unknown>> | undefined {
  const form = FORMS[doing]
  if (form.text === 'none') return undefined
  const text = said.text.trim()
  return {
    ...(form.cause ? { cause: said.cause } : {}),
    ...(text || form.text === 'needed' ? { text } : {}),
    ...(form.due ? { due: said.due } : {}),
    ...(said.attachments.length > 0 ? { attachments: said.attachments } : {}),
  }
}

/** What was said at a step of the history, and the rest of its detail as pairs. */
export function saidAt(detail: Readonly<Record<string, unknown>>): {
  readonly text: string | null
  readonly rest: readonly (readonly [string, string])[]
} {
  const text = typeof detail['text'] === 'string' ? detail['text'] : null
  const rest = Object.entries(detail)
    .filter(([name, value]) => name !== 'text' && name !== 'attachments' && isPlain(value))
    .map(([name, value]) => [name, String(value)] as const)
  return { text, rest }
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
