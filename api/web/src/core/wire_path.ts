// The shapes of what lies behind the figures: a stored result, data quality, checks on meters, agents,
// dead letters, and the law as it is catalogued.

import type { Limit, Named, PeriodItem, PeriodVerdict } from './wire.ts'

export interface Correction {
  readonly kind: string
  readonly inputs: Readonly<Record<string, string>>
  readonly from_value: string
  readonly to_value: string
  readonly why?: string | null
}

export type ResultVerdict = PeriodVerdict & {
  readonly policy?: string | null
  readonly corrections?: readonly Correction[]
}

export interface ResultVersion {
  readonly result: string
  readonly version: number
  readonly known_from: string
  readonly superseded_at: string | null
  readonly declaration: number | null
  readonly catalogue: string | null
  readonly cause: { readonly kinds?: readonly string[] } | null
}

export interface InputPoint {
  readonly energy: string | null
  readonly unit: string | null
  readonly sign: number
  readonly measured_us: number
  readonly carrier?: string | null
  readonly factors?: readonly (Readonly<Record<string, unknown>> | null)[] | null
}

export type Result = Omit<PeriodItem, 'verdicts'> & {
  readonly unit: string
  readonly product: string | null
  readonly formula_version: number | null
  readonly known_from?: string | null
  readonly causes?: readonly string[]
  readonly verdicts: readonly ResultVerdict[]
  readonly inputs: {
    readonly points?: Readonly<Record<string, InputPoint>>
    readonly output?: {
      readonly mass: string
      readonly base_grade: string
      readonly reference: string
      readonly facts_without_grade: number
    } | null
    readonly conditions?: Readonly<Record<string, unknown>> | null
    readonly [more: string]: unknown
  }
  readonly versions: readonly ResultVersion[]
  readonly close?: {
    readonly close: string
    readonly closed_at: string
    readonly closed_by: string
    readonly signed: boolean
    readonly version: number
    readonly differs: boolean
    readonly flips: readonly { limit: string; from: string; to: string }[]
  } | null
}

export interface IndicatorRow {
  readonly id: string
  readonly name: Named
  readonly unit: string
  readonly energy_unit: string
  readonly output_unit: string
  readonly product: string
  readonly boundary: Named
  readonly formula: string
  readonly formula_version: number
  readonly source: string
  readonly mark: string | null
  readonly note: string | null
}

export type LimitRow = Limit & {
  readonly scheme: string
  readonly completeness: string
  readonly policy: string
  readonly correction: readonly Readonly<Record<string, unknown>>[]
  readonly note: string | null
  readonly kind: 'limit' | 'trigger' | 'trajectory'
  readonly unit_in_text: string | null
  readonly trajectory: { base_year: number; end_year: number; path: string } | null
  readonly mark: string | null
  readonly computes: boolean
  readonly later: Named | null
}

export interface QualityRule {
  readonly rule: string
  readonly index: string
  readonly name: Named
  readonly threshold: string
  readonly most_s: number | null
  readonly most_share: string | null
  readonly most_working_days: number | null
  readonly source: string
  readonly paragraph: string
  readonly quote: string | null
  readonly mark: string
  readonly note: string | null
  readonly share: string | null
  readonly kept: boolean | null
  readonly findings: number
  readonly unchecked: string | null
}

export interface Quality {
  readonly site: string
  readonly period_start: string
  readonly period_end: string
  readonly closed: boolean
  readonly score: string | null
  readonly indices: Readonly<Record<string, string | null>>
  readonly rules: readonly QualityRule[]
  readonly findings: readonly {
    readonly rule: string
    readonly subject: string
    readonly value: string
    readonly threshold: string
    readonly text: Named
  }[]
  readonly more_findings: number
  readonly computed_at: string
}

export interface QualitySummary {
  readonly site: string
  readonly score: string | null
  readonly indices: Readonly<Record<string, string | null>>
  readonly broken: readonly string[]
  readonly unchecked: readonly string[]
  readonly findings: number
}

export interface Finding {
  readonly kind: string
  readonly subject: string
  readonly named: string | null
  readonly candidates: readonly string[]
  readonly since: string
  readonly until: string | null
  readonly sure: number | null
  readonly error: number | null
  readonly doubt: number | null
  readonly factor: number | null
  readonly explained: readonly { cause: string; factor: number }[]
  readonly excess_kwh: number | null
  readonly grows: boolean
  readonly witnesses: readonly string[]
  readonly text: Named
}

export interface Check {
  readonly check: string
  readonly site: string
  readonly from: string
  readonly until: string
  readonly checked_at: string
  readonly findings: readonly Finding[]
  readonly unchecked: readonly { subject: string; reason: string; text: Named }[]
  readonly sharpness: readonly { point: string; found_from: number; named_from: number }[]
  readonly checked: Readonly<Record<string, number>>
}

export interface Agent {
  readonly agent: string
  readonly site: string
  readonly state: string
  readonly state_at: string | null
  readonly epoch: string | null
  readonly depth: number | null
  readonly oldest_at: string | null
  readonly clock_offset_ms: number | null
  readonly last_seen_at: string | null
  readonly committed: number | null
  readonly missing: number | null
  readonly missing_ranges: readonly (readonly [number, number])[] | null
  readonly missing_since: string | null
  readonly lost: number | null
}

export interface DeadLetter {
  readonly id: number
  readonly recorded_at: string
  readonly reason: string
  readonly topic: string
  readonly site: string
  readonly agent: string
  readonly point: string | null
  readonly measured_at: string | null
  readonly detail: string
  readonly state: string
}

/** One unit's figures of an indicator as columns. */
export interface Columns {
  readonly unit: string
  readonly indicator: string
  readonly period: string
  readonly period_start: readonly string[]
  readonly closed: readonly boolean[]
  readonly intensity: readonly (string | null)[]
  readonly completeness: readonly number[]
}
