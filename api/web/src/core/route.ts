// The address is the view: everything a shared link must show again is in its path and query.
// Anything unknown in an address falls back to its default instead of failing.

import type { Lang } from './plant_time.ts'
import type { Span } from './verdicts.ts'

export type Theme = 'light' | 'dark'
export type Order = 'position' | 'deviation'
export type Tab = 'unit' | 'verdicts'
export const RANGES = [7, 31, 92] as const
export type Range = (typeof RANGES)[number]
export const KINDS = ['day', 'month', 'year'] as const
export type PeriodChoice = (typeof KINDS)[number]

/** Places of a site or, without one, of every site the viewer may see. A new one is a line here. */
export const SECTIONS = [
  'alerts',
  'cases',
  'entry',
  'closes',
  'outages',
  'region',
  'limits',
  'quality',
  'checks',
  'agents',
] as const
export type Section = (typeof SECTIONS)[number]
export type Place = 'overview' | 'unit' | 'evidence' | Section

export interface Route {
  readonly place: Place
  readonly site: string | null
  /** The unit on show, or the one chosen in the overview. */
  readonly unit: string | null
  /** The figure of an evidence page, or the limit that is open. */
  readonly id: string | null
  /** The matrix shows every site although a site is named (a unit was chosen from `/`). */
  readonly every: boolean
  readonly indicator: string | null
  readonly span: Span
  readonly range: Range
  readonly order: Order
  readonly abnormal: boolean
  readonly table: boolean
  /** What the right column shows where there is no room for both. */
  readonly tab: Tab
  /** The kind of period a unit is looked at by, and which one (`2026-10`); null is the open one. */
  readonly period: PeriodChoice
  readonly at: string | null
  /** The limit an excess is held against; null lets the server choose. */
  readonly limit: string | null
  /** What limits are searched for, and of which force. */
  readonly find: string | null
  readonly force: string | null
  /** Which part of a list is shown; null is the one that the page begins with. */
  readonly show: string | null
  /** On a wall: no controls, larger. */
  readonly display: boolean
  readonly lang: Lang | null
  readonly theme: Theme | null
}

export const HOME: Route = {
  place: 'overview',
  site: null,
  unit: null,
  id: null,
  every: true,
  indicator: null,
  span: 'month',
  range: 31,
  order: 'position',
  abnormal: false,
  table: false,
  tab: 'unit',
  period: 'month',
  at: null,
  limit: null,
  find: null,
  force: null,
  show: null,
  display: false,
  lang: null,
  theme: null,
}

const SLUG = /^[a-z0-9][a-z0-9._-]{0,199}$/
const AT = /^\d{4}(-\d\d(-\d\d)?)?$/
const MOST_FIND = 100

function slug(text: string | null | undefined): string | null {
  return text && SLUG.test(text) ? text : null
}

function pick<T extends string>(text: string | null | undefined, choices: readonly T[]): T | null {
  return choices.find((choice) => choice === text) ?? null
}

type Spot = Pick<Route, 'place' | 'site' | 'unit' | 'id'>

/** What a path names; anything else is the overview. */
function spot(path: string, query: URLSearchParams): Spot {
  const steps = path.split('/').filter(Boolean)
  const [head, site, mid, last] = steps
  const nowhere = { place: 'overview', site: null, unit: null, id: null } as const
  if (head === 'evidence') {
    const id = slug(site)
    return id ? { ...nowhere, place: 'evidence', id } : nowhere
  }
  const wide = pick(head, SECTIONS)
  if (wide) return { ...nowhere, place: wide, id: slug(site) }
  if (head !== 'p' || !slug(site)) return nowhere
  const at = { ...nowhere, site: slug(site) }
  if (mid === 'u' && slug(last)) return { ...at, place: 'unit', unit: slug(last) }
  const section = pick(mid, SECTIONS)
  if (section) return { ...at, place: section, id: slug(last) }
  return { ...at, unit: slug(query.get('unit')) }
}

/** The view an address names. */
export function parse(path: string, search: string): Route {
  const query = new URLSearchParams(search)
  const found = spot(path, query)
  const range = Number(query.get('range'))
  const at = query.get('at')
  return {
    ...found,
    every: found.site === null || query.get('sites') === 'all',
    indicator: slug(query.get('indicator')),
    span: pick(query.get('span'), ['month', 'day']) ?? HOME.span,
    range: RANGES.find((choice) => choice === range) ?? HOME.range,
    order: pick(query.get('order'), ['position', 'deviation']) ?? HOME.order,
    abnormal: query.get('only') === 'abnormal',
    table: query.get('view') === 'table',
    tab: pick(query.get('tab'), ['unit', 'verdicts']) ?? HOME.tab,
    period: pick(query.get('period'), KINDS) ?? HOME.period,
    at: at !== null && AT.test(at) ? at : null,
    limit: slug(query.get('limit')),
    find: query.get('find')?.slice(0, MOST_FIND) || null,
    force: pick(query.get('force'), ['mandatory', 'target', 'reference']),
    show: slug(query.get('show')),
    display: query.get('display') === '1',
    lang: pick(query.get('lang'), ['zh', 'en']),
    theme: pick(query.get('theme'), ['light', 'dark']),
  }
}

function pathOf(route: Route): string {
  const tail = route.id ? `/${route.id}` : ''
  if (route.place === 'evidence') return `/evidence${tail}`
  const base = route.site ? `/p/${route.site}` : ''
  if (route.place === 'unit') return `${base}/u/${route.unit ?? ''}`
  if (route.place === 'overview') return base || '/'
  return `${base}/${route.place}${tail}`
}

/** The address of a view; defaults are left out, so that a link stays short. */
export function format(route: Route): string {
  const query = new URLSearchParams()
  if (route.place === 'overview' && route.site && route.unit) query.set('unit', route.unit)
  if (route.site && route.every) query.set('sites', 'all')
  if (route.indicator) query.set('indicator', route.indicator)
  if (route.span !== HOME.span) query.set('span', route.span)
  if (route.range !== HOME.range) query.set('range', String(route.range))
  if (route.order !== HOME.order) query.set('order', route.order)
  if (route.abnormal) query.set('only', 'abnormal')
  if (route.table) query.set('view', 'table')
  if (route.tab !== HOME.tab) query.set('tab', route.tab)
  if (route.period !== HOME.period) query.set('period', route.period)
  if (route.at) query.set('at', route.at)
  if (route.limit) query.set('limit', route.limit)
  if (route.find) query.set('find', route.find)
  if (route.force) query.set('force', route.force)
  if (route.show) query.set('show', route.show)
  if (route.display) query.set('display', '1')
  if (route.lang) query.set('lang', route.lang)
  if (route.theme) query.set('theme', route.theme)
  const text = query.toString()
  const path = pathOf(route)
  return text ? `${path}?${text}` : path
}

/** The address of a place, keeping of a view only its language and theme. */
export function elsewhere(from: Route, to: Partial<Route>): Route {
  return { ...HOME, lang: from.lang, theme: from.theme, table: from.table, every: !to.site, ...to }
}
