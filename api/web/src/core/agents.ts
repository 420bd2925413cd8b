// Whether an agent can be relied on: what it says of itself, held against when data came.

import { instant } from './plant_time.ts'
import type { Agent } from './wire_path.ts'

/** An agent that says online and yet sent nothing for this long is silent, not online. */
export const SILENT_MS = 120_000
/** A clock farther off than this shifts the readings of a slot's edge enough to be told. */
export const CLOCK_OFF_MS = 2_000

export type AgentState = 'online' | 'silent' | 'offline' | 'unknown'

/** The state an agent is shown in; never online on its word alone. */
export function stateOf(agent: Agent, nowMs: number): AgentState {
  if (agent.state !== 'online') return agent.state === 'offline' ? 'offline' : 'unknown'
  const seen = instant(agent.last_seen_at)
  return seen === null || nowMs - seen > SILENT_MS ? 'silent' : 'online'
}

/** Whether something of it asks for a look. */
export function isTroubled(agent: Agent, nowMs: number): boolean {
  const state = stateOf(agent, nowMs)
  return (
    state === 'silent' ||
    (agent.missing ?? 0) > 0 ||
    (agent.lost ?? 0) > 0 ||
    Math.abs(agent.clock_offset_ms ?? 0) > CLOCK_OFF_MS
  )
}

const RANK: readonly AgentState[] = ['silent', 'offline', 'online', 'unknown']

/** Agents in the order they are read: troubled ones first, then by site and name. */
export function ordered(agents: readonly Agent[], nowMs: number): Agent[] {
  const rank = (agent: Agent): number =>
    (isTroubled(agent, nowMs) ? 0 : 10) + RANK.indexOf(stateOf(agent, nowMs))
  return [...agents].sort((a, b) => rank(a) - rank(b) || a.agent.localeCompare(b.agent))
}
