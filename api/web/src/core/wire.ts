// The shapes of the HTTP interface this page reads. Figures that people or the law compare arrive
// as decimal strings and stay strings until they are drawn.

export type Named = { readonly zh?: string; readonly en?: string }
export type VerdictWord = 'within' | 'exceeds' | 'indeterminate' | 'incomplete' | 'not_applicable'
export type Force = 'mandatory' | 'target' | 'reference'
export type PeriodKind = 'slot' | 'hour' | 'shift' | 'day' | 'month' | 'year'

export interface PeriodVerdict {
  readonly limit: string
  readonly force: string
  readonly limit_value: string | null
  readonly cmp?: string
  readonly level?: number | null
  readonly verdict: VerdictWord
  readonly lapsed?: boolean
  /** The limit of the catalogue, where corrections have moved it to `limit_value`. */
  readonly own_value?: string
  /** Inputs of its corrections that nobody declared. */
  readonly missing?: readonly string[]
  /** The part of the period in which the limit holds, with the figure that was compared. */
  readonly part?: {
    readonly from: string
    readonly until: string
    readonly value: string | null
    readonly uncertainty: string | null
  }
}

/** A month of a site as it was closed, and how many of its figures have moved since. */
export interface MonthClose {
  readonly close: string
  readonly month: string
  readonly closed_at: string
  readonly signed: boolean
  readonly figures: number
  readonly differing: number
  readonly flipped: number
}

export interface PeriodItem {
  readonly indicator: string
  readonly period: PeriodKind
  readonly period_start: string
  readonly period_end: string
  readonly closed: boolean
  readonly energy: { value: string | null; estimated: string | null; unit: string } | null
  readonly output: { value: string | null; unit: string } | null
  readonly intensity: { value: string | null; unit: string; uncertainty: string | null } | null
  readonly completeness: number | null
  readonly flags: readonly string[]
  readonly verdicts: readonly PeriodVerdict[]
  readonly version?: number | null
  readonly computed_at?: string | null
  readonly result?: string | null
}

export interface UnitView {
  readonly unit: string
  readonly site: string
  readonly site_name: Named
  readonly timezone: string
  readonly jurisdiction: string
  readonly name: Named
  readonly kind: string
  readonly product: string | null
  readonly parent: string | null
  readonly indicators: readonly string[]
  readonly live: {
    readonly measured_at: string | null
    readonly power_kw: string | null
    readonly allowed_age_s: number
  }
  readonly current: readonly PeriodItem[]
  readonly today: readonly PeriodItem[]
}

/** Items of a list: all of them, or by indicator what changed of some (delta.ts). */
export type ItemsChange = readonly PeriodItem[] | Readonly<Record<string, Partial<PeriodItem>>>

/** What the stream says of a unit: all of it the first time, later what changed. */
export interface UnitChange {
  readonly unit: string
  readonly site?: string
  readonly live?: Partial<UnitView['live']>
  readonly current?: ItemsChange
  readonly today?: ItemsChange
}

export function isWhole(change: UnitChange): change is UnitView {
  return change.site !== undefined
}

export interface Delivery {
  readonly channel: string
  readonly state: string
  readonly attempts: number
  readonly receipt: string | null
}

export type AlertState = 'pending' | 'firing' | 'clearing' | 'resolved'

/** What the page reads of an alert; the figure is the one behind its last change. */
export interface AlertItem {
  readonly id: string
  readonly kind: string
  readonly severity: number
  readonly state: AlertState
  readonly unit: string | null
  readonly site?: string | null
  readonly site_name?: Named | null
  readonly indicator: string | null
  readonly limit: string | null
  /** Of a condition: whom it is about, and what is to be said. */
  readonly condition?: string | null
  readonly subject?: { readonly kind: string; readonly id: string } | null
  readonly sentence?: Named | null
  readonly period?: PeriodKind
  readonly period_start: string | null
  readonly stage?: 'early_warning' | 'finding' | null
  readonly value?: string | null
  readonly value_unit?: string | null
  readonly limit_value?: string | null
  readonly cmp?: string
  readonly force?: string
  readonly lapsed?: boolean
  readonly raised_at: string | null
  readonly delivered_at: string | null
  readonly acknowledged_at: string | null
  readonly acknowledged_by: string | null
  readonly resolved_at: string | null
  readonly deliveries: readonly Delivery[]
  /** What keeps it from being told; `told`: receivers know of it all the same. */
  readonly quiet?: Quiet | null
  /** How many alerts stand behind it. */
  readonly folded?: number
}

export interface Quiet {
  readonly kind: string
  readonly told: boolean
  readonly since: string
  readonly until: string | null
  readonly alert: string | null
  readonly silence: string | null
  readonly document: string | null
  readonly reason: string | null
  readonly by: string | null
}

export interface Indicator {
  readonly id: string
  readonly name: Named
  readonly unit: string
}

export interface Limit {
  readonly id: string
  readonly indicator: string
  readonly name: Named
  readonly value: string
  readonly cmp: string
  readonly unit: string
  readonly force: string
  readonly level: number | null
  readonly jurisdiction: string | null
  readonly valid_from: string | null
  readonly valid_to: string | null
  readonly due: string | null
  readonly source: string | null
  readonly clause: string | null
  readonly quote: string | null
}

export interface Point {
  readonly point: string
  readonly unit: string
  readonly kind: string
  readonly carrier: string | null
  readonly role?: string
  readonly sign: number
  readonly measured_unit?: string
  readonly energy_unit: string | null
}

export type EnergyItem = Pick<
  PeriodItem,
  'period_start' | 'period_end' | 'closed' | 'energy' | 'completeness' | 'flags' | 'computed_at'
>

export interface Session {
  readonly name?: string
  readonly role: string
  readonly scope: readonly string[]
  readonly csrf: string
  readonly how?: 'token' | 'password' | 'provider'
  /** Where to go to sign out at the identity provider too. */
  readonly leave?: string | null
}

export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}
