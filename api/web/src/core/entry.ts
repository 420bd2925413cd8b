// Signing in and what belongs to it: the ways there are, passwords, one's own sessions.

import { ask, list } from './client.ts'
import type { Session } from './wire.ts'

export interface Way {
  readonly id: string
  readonly name: { readonly zh: string; readonly en: string }
  readonly begin: string
}

export interface Ways {
  readonly password: boolean
  readonly token: boolean
  readonly providers: readonly Way[]
}

export interface OwnSession {
  readonly id: string
  readonly created_at: string
  readonly seen_at: string
  readonly address: string
  readonly browser: string
  readonly current: boolean
}

/** Where there is no answer a token is still taken: every server does. */
export const TOKEN_ONLY: Ways = { password: false, token: true, providers: [] }

const TROUBLES = ['denied', 'stale', 'provider', 'no_grant', 'disabled', 'throttled'] as const
export type EntryTrouble = (typeof TROUBLES)[number]

const JSON_BODY = { 'Content-Type': 'application/json' }

export async function ways(): Promise<Ways> {
  return (await (await ask('/session/ways')).json()) as Ways
}

export async function signInByPassword(name: string, password: string): Promise<Session> {
  const body = JSON.stringify({ name, password })
  const init = { method: 'POST', headers: JSON_BODY, body }
  return (await (await ask('/session/password', init)).json()) as Session
}

/** Where the browser goes to sign in at a provider, and comes back from to where it was. */
export function beginAt(way: Way, place: string): string {
  return `${way.begin}?to=${encodeURIComponent(place)}`
}

/** Why a sign-in at a provider came to nothing, as the address tells; null where it does not. */
export function troubleIn(hash: string): EntryTrouble | null {
  const word = hash.startsWith('#sign-in=') ? hash.slice('#sign-in='.length) : null
  return TROUBLES.find((trouble) => trouble === word) ?? null
}

export function ownSessions(signal: AbortSignal): Promise<OwnSession[]> {
  return list<OwnSession>('/sessions', signal)
}

/** Ends one of one's own sessions; without an id all but the one that asks. */
export async function endSessions(csrf: string, id: string | null = null): Promise<void> {
  const path = id === null ? '/sessions' : `/sessions/${encodeURIComponent(id)}`
  await ask(path, { method: 'DELETE', headers: { 'X-CSRF-Token': csrf } })
}

/** Changes one's password; the answer is the session that begins anew. */
export async function changePassword(csrf: string, old: string, fresh: string): Promise<Session> {
  const init = {
    method: 'POST',
    headers: { ...JSON_BODY, 'X-CSRF-Token': csrf },
    body: JSON.stringify({ old, new: fresh }),
  }
  return (await (await ask('/account/password', init)).json()) as Session
}

/** A browser in few words, such as `Firefox · Windows`; what is not recognised is cut short. */
export function browserName(agent: string): string {
  const program = ['Edg', 'OPR', 'Firefox', 'Chrome', 'Safari'].find((one) => agent.includes(`${one}/`))
  const system = ['Windows', 'Android', 'iPhone', 'iPad', 'Mac OS X', 'Linux'].find((one) =>
    agent.includes(one),
  )
  const plain: Readonly<Record<string, string>> = { Edg: 'Edge', OPR: 'Opera' }
  if (program === undefined) return agent.slice(0, 40)
  const name = plain[program] ?? program
  return system === undefined ? name : `${name} · ${system}`
}
