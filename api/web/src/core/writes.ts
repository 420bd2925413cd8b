// What the pages of people's work ask the server for, and what they send it. Every write carries the
// session's own token; a refusal comes back with the server's reasons.

import { ask, list } from './client.ts'
import type {
  AlertRow,
  Attachment,
  Benchmark,
  Case,
  Cause,
  Close,
  Doing,
  Fact,
  Silence,
  WholeCase,
} from './wire_work.ts'

const enc = encodeURIComponent
/** Of what is over, and of cases, a page shows the newest so many. */
export const MOST_SHOWN = 200

async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  return (await (await ask(path, { signal })).json()) as T
}

async function firstPage<T>(path: string, signal: AbortSignal): Promise<Part<T>> {
  const body = await get<{ items: readonly T[]; next: string | null }>(path, signal)
  return { items: body.items, more: body.next !== null }
}

/** The newest of a list, and whether there is more. */
export interface Part<T> {
  readonly items: readonly T[]
  readonly more: boolean
}

/** Closing a month with many readings, or sending a document over a slow line, takes its time. */
const LONG_MS = 600_000

async function send<T>(
  path: string,
  csrf: string,
  method: string,
  body?: unknown,
  patienceMs?: number,
): Promise<T> {
  const headers: Record<string, string> = { 'X-CSRF-Token': csrf }
  const init: RequestInit = { method, headers }
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json'
    init.body = JSON.stringify(body)
  }
  return (await (await ask(path, init, patienceMs)).json()) as T
}

function at(site: string | null): string {
  return site === null ? '' : `&site=${enc(site)}`
}

/** Alerts that are not over, those that stand behind another included. */
export function standingAlerts(site: string | null, stop: AbortSignal): Promise<AlertRow[]> {
  return list(`/alerts?state=pending,firing,clearing&folded=true${at(site)}`, stop)
}

export function pastAlerts(site: string | null, stop: AbortSignal): Promise<Part<AlertRow>> {
  return firstPage(`/alerts?state=resolved&limit=${MOST_SHOWN}${at(site)}`, stop)
}

export function shelve(csrf: string, alert: string, until: string, reason: string): Promise<Silence> {
  return send(`/alerts/${enc(alert)}/shelve`, csrf, 'POST', { until, reason })
}

export function unshelve(csrf: string, alert: string): Promise<Silence> {
  return send(`/alerts/${enc(alert)}/shelve`, csrf, 'DELETE')
}

export function cases(
  site: string | null,
  filter: string,
  stop: AbortSignal,
): Promise<Part<Case>> {
  return firstPage(`/cases?${filter}&limit=${MOST_SHOWN}${at(site)}`, stop)
}

/** The newest case of an alert; null where nobody was told of it. */
export async function caseOf(alert: string, stop: AbortSignal): Promise<{ readonly of: Case | null }> {
  const found = await firstPage<Case>(`/cases?alert=${enc(alert)}&limit=1`, stop)
  return { of: found.items[0] ?? null }
}

export function wholeCase(id: string, stop: AbortSignal): Promise<WholeCase> {
  return get(`/cases/${enc(id)}`, stop)
}

export function causes(stop: AbortSignal): Promise<Cause[]> {
  return list('/case-causes', stop)
}

/** Does one of the things a case lets its side do; the answer is the case afterwards. */
export function act(csrf: string, id: string, doing: Doing, body: unknown): Promise<WholeCase> {
  return send(`/cases/${enc(id)}/${doing}`, csrf, 'POST', body)
}

export async function attach(csrf: string, id: string, file: File): Promise<Attachment> {
  const headers = {
    'X-CSRF-Token': csrf,
    'Content-Type': file.type || 'application/octet-stream',
  }
  const path = `/cases/${enc(id)}/attachments?name=${enc(file.name)}`
  const init = { method: 'POST', headers, body: file }
  return (await (await ask(path, init, LONG_MS)).json()) as Attachment
}

/** Where a document of a case is to be had; the browser saves it. */
export function attachmentAddress(id: string, attachment: string): string {
  return `/api/v1/cases/${enc(id)}/attachments/${enc(attachment)}`
}

export function facts(unit: string, span: string, stop: AbortSignal): Promise<Fact[]> {
  return list(`/output?unit=${enc(unit)}&${span}`, stop)
}

export function sendFact(csrf: string, fact: unknown): Promise<Fact> {
  return send('/output', csrf, 'POST', fact)
}

export function closes(site: string, stop: AbortSignal): Promise<Close[]> {
  return list(`/sites/${enc(site)}/closes`, stop)
}

export function closeMonth(csrf: string, site: string, month: string): Promise<Close> {
  return send(`/sites/${enc(site)}/closes`, csrf, 'POST', { month }, LONG_MS)
}

export function outages(site: string, stop: AbortSignal): Promise<Part<Silence>> {
  return firstPage(`/sites/${enc(site)}/outages?limit=${MOST_SHOWN}`, stop)
}

export function declareOutage(csrf: string, site: string, outage: unknown): Promise<Silence> {
  return send(`/sites/${enc(site)}/outages`, csrf, 'POST', outage)
}

export function endOutage(csrf: string, site: string, outage: string): Promise<Silence> {
  return send(`/sites/${enc(site)}/outages/${enc(outage)}`, csrf, 'DELETE')
}

export function benchmark(
  indicator: string,
  jurisdiction: string,
  period: string,
  stop: AbortSignal,
): Promise<Benchmark> {
  const query = new URLSearchParams({ indicator, jurisdiction, period })
  return get(`/benchmarks?${query}`, stop)
}
