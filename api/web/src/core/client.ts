// Requests to the server. Every failure is one of four, by what the page should do: sign in, say
// that it is forbidden, say what was wrong, or try again later.

import type {
  AlertItem,
  EnergyItem,
  Indicator,
  Limit,
  MonthClose,
  Page,
  PeriodItem,
  PeriodKind,
  Point,
  Session,
  UnitView,
} from './wire.ts'

export type Trouble = 'stranger' | 'forbidden' | 'refused' | 'unreachable'

const BASE = '/api/v1'
const PATIENCE_MS = 15_000
/** A list longer than this many pages is cut; the server's pages hold up to 5000 items. */
const MOST_PAGES = 20

export class Failure extends Error {
  readonly trouble: Trouble
  readonly status: number
  /** Each thing that was wrong, where the server tells them apart. */
  readonly reasons: readonly string[]
  constructor(trouble: Trouble, status: number, detail: string, reasons: readonly string[] = []) {
    super(detail)
    this.trouble = trouble
    this.status = status
    this.reasons = reasons
  }
}

function troubleOf(status: number): Trouble {
  if (status === 401) return 'stranger'
  if (status === 403) return 'forbidden'
  return status >= 500 || status === 429 ? 'unreachable' : 'refused'
}

/** The server's time (ms) in a response, by its Date header. */
export function serverTime(response: Response): number | null {
  const ms = Date.parse(response.headers.get('date') ?? '')
  return Number.isNaN(ms) ? null : ms
}

/** One request; anything but success is a Failure. */
export async function ask(
  path: string,
  init: RequestInit = {},
  patienceMs = PATIENCE_MS,
): Promise<Response> {
  let response: Response
  const stop = AbortSignal.timeout(patienceMs)
  const signal = init.signal ? AbortSignal.any([init.signal, stop]) : stop
  try {
    response = await fetch(BASE + path, { ...init, signal, credentials: 'same-origin' })
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new Failure('unreachable', 0, detail)
  }
  if (!response.ok) throw await refusal(response)
  return response
}

async function refusal(response: Response): Promise<Failure> {
  const { status } = response
  const made = (detail: string, reasons: readonly string[] = []): Failure =>
    new Failure(troubleOf(status), status, detail, reasons)
  try {
    const problem = (await response.json()) as { detail?: unknown; errors?: unknown }
    const detail = typeof problem.detail === 'string' ? problem.detail : `HTTP ${status}`
    return made(detail, reasonsOf(problem.errors))
  } catch {
    return made(`HTTP ${status}`)
  }
}

function reasonsOf(errors: unknown): string[] {
  const found = Array.isArray(errors) ? (errors as { message?: unknown }[]) : []
  return found.map((one) => one.message).filter((text) => typeof text === 'string')
}

/** Every item of a list, page by page. */
export async function list<T>(path: string, signal?: AbortSignal): Promise<T[]> {
  return (await listAt<T>(path, signal)).items
}

export interface Told<T> {
  readonly items: T[]
  /** The server's time (ms) of its first page. */
  readonly at: number | null
}

/** A list as `list` gives it, with the server's time. */
export async function listAt<T>(path: string, signal?: AbortSignal): Promise<Told<T>> {
  const out: T[] = []
  let at: number | null = null
  let cursor: string | null = null
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const mark: string = path.includes('?') ? '&' : '?'
    const more: string = cursor === null ? '' : `${mark}cursor=${encodeURIComponent(cursor)}`
    const response = await ask(path + more, signal ? { signal } : {})
    const body = (await response.json()) as Page<T>
    at ??= serverTime(response)
    out.push(...body.items)
    cursor = body.next
    if (cursor === null) break
  }
  return { items: out, at }
}

/** The query of a span [from, to) in milliseconds. */
export function spanOf(from: number, to: number): string {
  const text = (ms: number): string => encodeURIComponent(new Date(ms).toISOString())
  return `from=${text(from)}&to=${text(to)}`
}

/** Who is signed in; a Failure `stranger` when nobody is. */
export async function session(): Promise<Session> {
  return (await (await ask('/session')).json()) as Session
}

/** Trades a token for a cookie session. */
export async function signIn(token: string): Promise<Session> {
  const headers = { Authorization: `Bearer ${token}` }
  return (await (await ask('/session', { method: 'POST', headers })).json()) as Session
}

export async function signOut(csrf: string): Promise<void> {
  await ask('/session', { method: 'DELETE', headers: { 'X-CSRF-Token': csrf } })
}

/** Every unit the viewer may see, and the server's time of the answer. */
export function units(): Promise<Told<UnitView>> {
  return listAt<UnitView>('/units')
}

/** Every alert that is not over, of units the viewer may see. */
export function alerts(): Promise<Told<AlertItem>> {
  return listAt<AlertItem>('/alerts?state=pending,firing,clearing')
}

/** Takes note of an alert; a second time changes nothing. The answer is the alert as it is then. */
export async function acknowledge(alert: string, csrf: string): Promise<AlertItem> {
  const path = `/alerts/${encodeURIComponent(alert)}/acknowledge`
  const response = await ask(path, { method: 'POST', headers: { 'X-CSRF-Token': csrf } })
  return (await response.json()) as AlertItem
}

export function indicators(): Promise<Indicator[]> {
  return list<Indicator>('/indicators')
}

export function limits(): Promise<Limit[]> {
  return list<Limit>('/limits')
}

/** The newest month close of a site; null while no month is closed. */
export async function newestClose(site: string, signal: AbortSignal): Promise<MonthClose | null> {
  const closes = await list<MonthClose>(`/sites/${encodeURIComponent(site)}/closes`, signal)
  return closes.at(-1) ?? null
}

/** Period items of a unit's indicator that start in [from, to) (milliseconds). */
export function intensity(
  unit: string,
  indicator: string,
  period: PeriodKind,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<PeriodItem[]> {
  const name = encodeURIComponent(indicator)
  const query = `indicator=${name}&period=${period}&${spanOf(from, to)}`
  return list<PeriodItem>(`/units/${encodeURIComponent(unit)}/intensity?${query}`, signal)
}

export function points(unit: string, signal: AbortSignal): Promise<Point[]> {
  return list<Point>(`/points?unit=${encodeURIComponent(unit)}`, signal)
}

export function energy(
  point: string,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<EnergyItem[]> {
  const query = `period=hour&${spanOf(from, to)}`
  return list<EnergyItem>(`/points/${encodeURIComponent(point)}/energy?${query}`, signal)
}
