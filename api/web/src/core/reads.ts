// What the pages that are opened on demand ask the server for.

import { ask, list, listAt, spanOf, type Told } from './client.ts'
import type { PeriodItem, PeriodKind, Point } from './wire.ts'
import type { Excess, Forecast } from './wire_outlook.ts'
import type {
  Agent,
  Check,
  Columns,
  DeadLetter,
  IndicatorRow,
  LimitRow,
  Quality,
  QualitySummary,
  Result,
} from './wire_path.ts'

const enc = encodeURIComponent
/** Of the newest dead letters, and of the runs of checks, a page shows this many. */
const SOME_LETTERS = 50
const SOME_RUNS = 12

async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  return (await (await ask(path, { signal })).json()) as T
}

function query(of: Readonly<Record<string, string | null>>): string {
  const made = new URLSearchParams()
  for (const [name, value] of Object.entries(of)) if (value !== null) made.set(name, value)
  return made.toString()
}

export function forecast(
  unit: string,
  indicator: string,
  period: 'month' | 'year',
  stop: AbortSignal,
): Promise<Forecast> {
  return get(`/units/${enc(unit)}/forecast?${query({ indicator, period })}`, stop)
}

/** Why the period that holds `from` (the present when null) is over a limit, or the gravest one. */
export function excess(
  unit: string,
  asked: { indicator: string; period: string; from: string | null; limit: string | null },
  stop: AbortSignal,
): Promise<Excess> {
  return get(`/units/${enc(unit)}/excess?${query(asked)}`, stop)
}

/** Figures of a unit by periods that start in [from, to) (ms). */
export function figures(
  unit: string,
  indicator: string,
  period: PeriodKind,
  span: readonly [number, number],
  stop: AbortSignal,
): Promise<PeriodItem[]> {
  const asked = `indicator=${enc(indicator)}&period=${period}&${spanOf(span[0], span[1])}`
  return list(`/units/${enc(unit)}/intensity?${asked}`, stop)
}

/** Every unit's days of an indicator as columns, in [from, to) (ms). */
export function columns(
  indicator: string,
  span: readonly [number, number],
  stop: AbortSignal,
): Promise<Columns[]> {
  return list(`/intensity?indicator=${enc(indicator)}&period=day&${spanOf(span[0], span[1])}`, stop)
}

export function result(id: string, stop: AbortSignal): Promise<Result> {
  return get(`/results/${enc(id)}`, stop)
}

export interface Pack {
  readonly text: string
  /** What the server's checker found before it answered. */
  readonly follows: boolean
}

/** The evidence pack of a figure as it is handed over. */
export async function pack(id: string, stop: AbortSignal): Promise<Pack> {
  const answer = await ask(`/results/${enc(id)}/evidence`, { signal: stop })
  return { text: await answer.text(), follows: answer.headers.get('danhao-evidence') === 'follows' }
}

export function indicatorRows(stop: AbortSignal): Promise<IndicatorRow[]> {
  return list('/indicators', stop)
}

export function limitRows(stop: AbortSignal): Promise<LimitRow[]> {
  return list('/limits', stop)
}

export function quality(site: string, month: string | null, stop: AbortSignal): Promise<Quality> {
  return get(`/sites/${enc(site)}/quality?${query({ month })}`, stop)
}

export function qualities(month: string | null, stop: AbortSignal): Promise<QualitySummary[]> {
  return list(`/quality?${query({ month })}`, stop)
}

export function newestChecks(stop: AbortSignal): Promise<Check[]> {
  return list('/checks', stop)
}

export async function checkRuns(site: string, stop: AbortSignal): Promise<readonly Check[]> {
  const body = await get<{ items: Check[] }>(`/sites/${enc(site)}/checks?limit=${SOME_RUNS}`, stop)
  return body.items
}

export function agents(stop: AbortSignal): Promise<Told<Agent>> {
  return listAt('/agents', stop)
}

export async function deadLetters(stop: AbortSignal): Promise<readonly DeadLetter[]> {
  const body = await get<{ items: DeadLetter[] }>(`/dead-letters?limit=${SOME_LETTERS}`, stop)
  return body.items
}

export function points(unit: string, stop: AbortSignal): Promise<Point[]> {
  return list(`/points?unit=${enc(unit)}`, stop)
}
