// The shapes of what is computed when it is asked for: forecasts, and excesses split into causes.

import type { Named, PeriodKind, VerdictWord } from './wire.ts'

export interface Amount {
  readonly value: string | null
  readonly unit: string | null
}
export type Spent = Amount & { readonly estimated: string | null }
export type Rated = Amount & { readonly uncertainty: string | null }

export interface Headroom {
  readonly value: string
  readonly guarded: string
  readonly unit: string
  readonly energy: string
  readonly energy_unit: string
  readonly output: string
  readonly output_unit: string
  readonly reachable: boolean
}

export interface Crossing {
  readonly to: 'exceeds' | 'within'
  readonly at: string | null
  readonly on: string | null
  readonly earliest: string | null
  readonly latest: string | null
}

export type OutlookWord = 'within' | 'exceeds' | 'indeterminate' | 'incomplete'

export interface LimitOutlook {
  readonly limit: string
  readonly force: string
  readonly level: number | null
  readonly cmp: string
  readonly limit_value: string | null
  readonly unit: string
  readonly lapsed: boolean
  readonly value: string | null
  readonly over_now: boolean | null
  readonly outlook: OutlookWord
  readonly chance_exceeds: number | null
  readonly headroom: Headroom | null
  readonly crossing: Crossing | null
  readonly missing: readonly string[]
}

export interface Band {
  readonly value: string
  readonly unit: string
  readonly p2_5: string
  readonly p10: string
  readonly p90: string
  readonly p97_5: string
}

export interface Cost {
  readonly indicative: boolean
  readonly step: { value: string; unit: string; source: string; mark: string } | null
  readonly treads: number | null
  readonly surcharge: string | null
  readonly surcharge_unit: string
  readonly value: string | null
  readonly p10: string | null
  readonly p90: string | null
  readonly falls_at: string | null
  readonly unit: string
}

export interface Forecast {
  readonly unit: string
  readonly indicator: string
  readonly period: 'month' | 'year'
  readonly period_start: string
  readonly period_end: string
  readonly known_until: string
  readonly days_known: number
  readonly reasons: readonly string[]
  readonly so_far: {
    readonly energy: Spent
    readonly output: Amount
    readonly intensity: Rated
    readonly completeness: number
    readonly flags: readonly string[]
  } | null
  readonly ahead: {
    readonly from: string
    readonly days: number
    readonly output: Amount
    readonly by: 'plan' | 'pace'
  } | null
  readonly forecast: Band | null
  readonly limits: readonly LimitOutlook[]
  readonly cost: Cost | null
  readonly sentence: Named
  readonly computed_at: string
}

export interface CauseItem {
  readonly cause: string
  readonly name: Named
  readonly value: string | null
  readonly unit: string
  readonly per_output: string | null
  readonly plus_minus: string | null
  readonly why: string | null
  readonly evidence: Readonly<Record<string, string | null>>
}

export interface Remainder {
  readonly causes: readonly string[]
  readonly name: Named
  readonly value: string
  readonly per_output: string | null
  readonly why: readonly string[]
  readonly text: Named
}

export interface Excess {
  readonly unit: string
  readonly indicator: string
  readonly period: PeriodKind
  readonly period_start: string
  readonly period_end: string
  readonly closed: boolean
  readonly limit: {
    readonly id: string
    readonly force: string
    readonly cmp: string
    readonly value: string | null
    readonly own_value: string
    readonly missing: readonly string[]
  }
  readonly verdict: VerdictWord
  readonly energy: Spent
  readonly output: Amount
  readonly intensity: Rated
  readonly completeness: number
  readonly computed_at: string
  readonly excess: {
    readonly value: string
    readonly unit: string
    readonly per_output: string | null
    readonly per_output_unit: string
    readonly uncertainty: string | null
  } | null
  readonly parts: readonly CauseItem[] | null
  readonly remainder: Remainder | null
  readonly time: { working_h: string; idle_h: string; doubtful_h: string } | null
  readonly reference: {
    readonly way: string
    readonly period: string
    readonly of: number
    readonly period_start: string
    readonly period_end: string
    readonly intensity: string
    readonly rate: string
    readonly rate_unit: string
    readonly shares: readonly {
      readonly name: string
      readonly value: string | null
      readonly origin: string
      readonly standard_error: string | null
      readonly periods: number | null
    }[]
  } | null
  readonly sentence: Named | null
}
