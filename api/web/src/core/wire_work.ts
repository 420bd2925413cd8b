// The shapes of what people do: cases and their clocks, silences, production facts, month closes,
// and how plants rank.

import type { AlertItem, MonthClose, Named } from './wire.ts'

export type SilenceKind = 'shelved' | 'planned_outage' | 'start_up' | 'force_majeure'

/** An alert with what its own page shows of it. */
export type AlertRow = AlertItem & {
  readonly unit_name?: Named | null
  readonly timezone?: string | null
  readonly indicator_name?: Named | null
  readonly limit_name?: Named | null
  readonly result?: string | null
}

export type Side = 'plant' | 'regulator'
export const DOINGS = ['acknowledge', 'explain', 'plan', 'accept', 'dispute', 'close'] as const
export type Doing = (typeof DOINGS)[number]

export interface Waiting {
  readonly side: Side
  readonly duty: string
  readonly due_at: string | null
  readonly working_days: number | null
  /** Working days that begin before the time is out; null where no time runs. */
  readonly working_days_left?: number | null
  readonly calendar_known: boolean
  readonly overdue: boolean
  readonly told_at: string | null
}

export interface Case {
  readonly id: string
  readonly number: number
  readonly site: string | null
  readonly state: string
  readonly since: string
  readonly severity: number
  readonly closes: 'recovery' | 'plant' | 'both'
  readonly opened_at: string
  readonly updated_at: string
  readonly plan_due: string | null
  readonly waiting: Waiting | null
  readonly may: readonly Doing[]
  readonly alert: AlertRow
}

export interface Transition {
  readonly position: number
  readonly at: string
  readonly from_state: string
  readonly event: string
  readonly side: 'system' | Side
  readonly to_state: string
  readonly severity: number
  readonly who: string
  readonly role: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface Attachment {
  readonly id: string
  readonly at: string
  readonly who: string
  readonly side: Side
  readonly name: string
  readonly media_type: string
  readonly size_bytes: number
  readonly sha256: string
}

export type WholeCase = Case & {
  readonly findings: readonly {
    readonly period_start: string
    readonly found_at: string
    readonly stands: boolean
    readonly since: string
    readonly result: string | null
  }[]
  readonly history: readonly Transition[]
  readonly attachments: readonly Attachment[]
}

export interface Cause {
  readonly cause: string
  readonly name: Named
  readonly proof: boolean
}

export interface Silence {
  readonly silence: string
  readonly kind: SilenceKind
  readonly state: 'planned' | 'running' | 'over' | 'ended'
  readonly site: string | null
  readonly unit: string | null
  readonly from: string
  readonly until: string
  readonly reason: string
  readonly document: string | null
  readonly created_at: string
  readonly created_by: string
  readonly ended_at: string | null
  readonly ended_by: string | null
}

/** A production fact as it is kept, one revision of it. */
export interface Fact {
  readonly id: string
  readonly revision: number
  readonly unit: string
  readonly kind: string
  readonly at: string
  readonly stream: string | null
  readonly mass_t: string | null
  readonly amount: string | null
  readonly amount_unit: string | null
  readonly grades: Readonly<Record<string, string>>
  readonly source: string
  readonly recorded_at: string
}

export type Close = MonthClose & {
  readonly site: string
  readonly number: number
  readonly month_start: string
  readonly closed_by: string
  readonly sha256: string
  readonly key: string | null
  readonly flips: readonly {
    readonly unit: string
    readonly indicator: string
    readonly period: string
    readonly period_start: string
    readonly version: number
    readonly newest: string
    readonly newest_version: number
    readonly causes: readonly string[]
    readonly verdicts: readonly { limit: string; from: string; to: string }[]
  }[]
}

export interface RankedPlant {
  readonly site: string
  readonly value: string | null
  readonly uncertainty: string | null
  readonly completeness: number
  readonly rank: number | null
  readonly rank_best: number | null
  readonly rank_worst: number | null
  readonly quartile: number | null
  readonly gap_to_best_quartile: string | null
  readonly position: string
  readonly doubtful: boolean
  readonly why: string | null
  readonly why_text: Named | null
  readonly results: readonly string[]
}

export interface Benchmark {
  readonly indicator: string
  readonly jurisdiction: string
  readonly period: string
  readonly closed: boolean
  readonly unit: string
  readonly higher_is_better: boolean
  readonly counts: Readonly<Record<string, number>>
  readonly quartiles: {
    readonly first: string
    readonly median: string
    readonly third: string
    readonly concealed: boolean
  } | null
  readonly plants: readonly RankedPlant[]
}
