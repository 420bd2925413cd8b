// Production facts as people enter them: a form, what is sent of it, and revisions side by side. What
// is right is the server's to say; here only what could not be sent at all is stopped. Pure.

import { ofWall, wall } from './wall_time.ts'
import type { Fact } from './wire_work.ts'

export const KINDS = [
  'tapping',
  'weighing',
  'stock',
  'correction',
  'receipt',
  'shipment',
  'charge',
  'use',
  'base',
] as const
export const TONNE = 't'
/** What a fact may be counted in beside tonnes (`core/units.py`, OF_FACTS). */
export const UNITS = [
  TONNE, 'kg', 'm3', 'Wh', 'kWh', 'MWh', 'GWh', 'MJ', 'GJ', 'kW', 'MW', 'kgce', 'tce', 'cny', '10k_cny',
] as const

export interface FactForm {
  readonly id: string
  readonly revision: number
  readonly kind: string
  readonly at: string
  readonly amount: string
  readonly unit: string
  readonly stream: string
  readonly grades: string
}

/** An empty form for a unit, at the plant's present, with a number nobody else has. */
export function fresh(unit: string, now: number, zone: string, mark: string): FactForm {
  const at = wall(now, zone)
  const id = `hand-${unit}-${at.replace(/[^0-9]/g, '')}-${mark}`
  return { id, revision: 0, kind: 'tapping', at, amount: '', unit: TONNE, stream: '', grades: '' }
}

/** The form that corrects a fact: all of it as it stands, under the revision after its newest. */
export function correcting(fact: Fact, zone: string): FactForm {
  return {
    id: fact.id,
    revision: fact.revision + 1,
    kind: fact.kind,
    at: wall(Date.parse(fact.at), zone),
    amount: fact.mass_t ?? fact.amount ?? '',
    unit: fact.amount_unit ?? TONNE,
    stream: fact.stream ?? '',
    grades: Object.entries(fact.grades)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
  }
}

/** What could not be sent: the word of the trouble, and what it is about. */
export type Slip = readonly ['badTime' | 'badGrade', string]

/** The body of a fact, or what stops it. A corrected fact keeps the second it had. */
export function bodyOf(
  form: FactForm,
  unit: string,
  zone: string,
  before: Fact | null,
): { readonly body: Readonly<Record<string, unknown>> | null; readonly slips: readonly Slip[] } {
  const slips: Slip[] = []
  const at = instantOf(form.at, zone, before)
  if (at === null) slips.push(['badTime', form.at])
  const grades: Record<string, string> = {}
  for (const line of form.grades.split('\n').map((text) => text.trim()).filter(Boolean)) {
    const cut = line.indexOf('=')
    const [name, value] = [line.slice(0, cut).trim(), line.slice(cut + 1).trim()]
    if (cut < 0 || !name || !value || name in grades) slips.push(['badGrade', line])
    else grades[name] = value
  }
  if (slips.length > 0) return { body: null, slips }
  const amount = form.amount.trim()
  const stream = form.stream.trim()
  const body = {
    id: form.id.trim(),
    revision: form.revision,
    unit,
    kind: form.kind,
    at,
    ...(form.unit === TONNE ? { mass_t: amount } : { amount, amount_unit: form.unit }),
    ...(stream ? { stream } : {}),
    grades,
  }
  return { body, slips }
}

function instantOf(text: string, zone: string, before: Fact | null): string | null {
  if (before !== null && wall(Date.parse(before.at), zone) === text) return before.at
  const at = ofWall(text, zone)
  return at === null ? null : new Date(at).toISOString()
}

/** A fact as it stands: its newest revision, and those before it, the newest first. */
export interface Standing {
  readonly fact: Fact
  readonly earlier: readonly Fact[]
}

/** The facts as they stand, the latest on top. */
export function standingOf(facts: readonly Fact[]): Standing[] {
  const byId = new Map<string, Fact[]>()
  for (const fact of facts) byId.set(fact.id, [...(byId.get(fact.id) ?? []), fact])
  const found = [...byId.values()].map((revisions) => {
    const [fact, ...earlier] = revisions.sort((a, b) => b.revision - a.revision)
    return { fact: fact as Fact, earlier }
  })
  return found.sort(
    (a, b) => Date.parse(b.fact.at) - Date.parse(a.fact.at) || a.fact.id.localeCompare(b.fact.id),
  )
}
