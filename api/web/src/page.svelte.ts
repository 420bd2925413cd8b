// The page as one object: who looks, at what, how fresh it is. Reactive values are few; the units
// themselves live in the store, and `revision` says that some of them changed.

import { AlertsModel } from './alerts.svelte.ts'
import * as client from './core/client.ts'
import { EMPTY, settle, take, type Feed, type FeedEvent } from './core/feed.ts'
import { backoffMs, next, presentOf, SILENT, type Link, type Signal } from './core/link.ts'
import { choose, HTML_LANG } from './core/locale.ts'
import { readPalette, type Palette } from './core/palette.ts'
import { DEFAULT_ZONE, instant, type Lang } from './core/plant_time.ts'
import { elsewhere, format, parse, type Route, type Theme } from './core/route.ts'
import type { Word } from './core/source.ts'
import { openStream, type Stream } from './core/stream.ts'
import { UnitStore } from './core/store.ts'
import type { AlertItem, Indicator, Limit, Session, UnitChange, UnitView } from './core/wire.ts'

/** A stream that has not opened by then does not hold up the first snapshot. */
const SNAPSHOT_AFTER_MS = 1_500
const TICK_MS = 1_000
/** Without news the ages go on every second; while news come every second only they draw. */
const QUIET_AFTER_MS = 1_500
const ALERTS_AGAIN_MS = 5_000

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null // storage may be switched off; the address still carries the choice
  }
}

function remember(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // as above: forgetting a preference is no fault
  }
}

function scopeOf(session: Session): unknown {
  return [session.role, session.scope]
}

class PageModel {
  readonly store = new UnitStore()
  readonly alerts = new AlertsModel()
  route = $state.raw<Route>(parse(location.pathname, location.search))
  link = $state.raw<Link>(SILENT)
  /** The plant's present in server ms; stands still while the link is lost. */
  present = $state<number | null>(null)
  gate = $state<'unknown' | 'open' | 'closed'>('unknown')
  session = $state.raw<Session | null>(null)
  revision = $state(0)
  loaded = $state(false)
  trouble = $state.raw<client.Failure | null>(null)
  indicators = $state.raw<ReadonlyMap<string, Indicator>>(new Map())
  limits = $state.raw<ReadonlyMap<string, Limit>>(new Map())
  palette = $state.raw<Palette | null>(null)
  singleKeys = $state(stored('danhao.keys') !== 'off')
  /** What `[` and `]` do on the page that is open: its next shorter or earlier, longer or later. */
  step = $state.raw<((by: 1 | -1) => void) | null>(null)
  private preferred = $state<'light' | 'dark'>('light')
  private feed: Feed = EMPTY
  private stream: Stream | null = null
  private attempts = 0
  private snapshotUnderWay = false
  private alertsAgain: ReturnType<typeof setTimeout> | undefined
  private frame = 0
  private quiet: ReturnType<typeof setTimeout> | undefined

  lang = $derived<Lang>(choose(this.route.lang, stored('danhao.lang'), navigator.languages))
  theme = $derived<Theme>(this.route.theme ?? this.preferred)
  /** The unit on show: the one in the address, else the first of the site or of all. */
  selected = $derived.by<UnitView | undefined>(() => {
    void this.revision
    if (this.route.unit) return this.store.find(this.route.unit)
    const site = this.route.site
    return this.store.units.find((unit) => !unit.parent && (site === null || unit.site === site))
  })
  /** Its id alone: changes when the choice does, not with every reading. */
  selectedId = $derived(this.selected?.unit ?? null)
  zone = $derived(this.selected?.timezone ?? DEFAULT_ZONE)
  indicator = $derived.by<string | null>(() => {
    const known = this.selected?.indicators ?? []
    const asked = this.route.indicator
    return asked !== null && known.includes(asked) ? asked : (known[0] ?? null)
  })
  mayAcknowledge = $derived(AlertsModel.mayAcknowledge(this.session?.role))
  live = $derived(this.link.phase === 'live' || this.link.phase === 'late')

  /** Starts everything; called once. */
  start(): void {
    this.watchTheme()
    this.store.subscribe(() => this.redraw())
    addEventListener('popstate', () => {
      this.route = parse(location.pathname, location.search)
    })
    setInterval(() => this.signal({ kind: 'tick' }), TICK_MS)
    this.redraw()
    void this.enter()
  }

  /** Changes the view; a new place is a step back can undo, a setting is not. */
  go(change: Partial<Route>, how: 'step' | 'setting' = 'setting'): void {
    const route = { ...this.route, ...change }
    const address = format(route)
    if (address === location.pathname + location.search) return
    if (how === 'step') history.pushState(null, '', address)
    else history.replaceState(null, '', address)
    this.route = route
  }

  /** Opens another place; of the view only language, theme and table come along. */
  visit(to: Partial<Route>): void {
    this.go(elsewhere(this.route, to), 'step')
  }

  /** Chooses a unit; one that is chosen already is opened. */
  open(unit: UnitView, indicator: string | null = null): void {
    const again = this.route.place === 'overview' && this.selectedId === unit.unit
    if (again && (indicator === null || indicator === this.indicator)) this.openPage(unit)
    else this.choose(unit, indicator)
  }

  /** Opens a unit's own page, on the indicator that was looked at. */
  openPage(unit: UnitView): void {
    const { indicator } = this.route
    this.visit({ place: 'unit', site: unit.site, unit: unit.unit, indicator })
  }

  /** Shows a unit in the overview, or on the unit page where that is open. */
  private choose(unit: UnitView, indicator: string | null): void {
    const base = this.route.place === 'overview' ? this.route : elsewhere(this.route, {})
    const every = this.route.site === null ? true : this.route.every
    const to = { site: unit.site, unit: unit.unit, indicator, limit: null, at: null }
    if (this.route.place === 'unit') this.go(to, 'step')
    else this.go({ ...base, every, ...to }, 'step')
  }

  /** Shows the unit an alert is about, on the indicator it is about. */
  openAlert(alert: AlertItem): void {
    this.alerts.chosen = alert.id
    const unit = this.store.find(alert.unit)
    if (unit) this.choose(unit, unit.indicators[0] === alert.indicator ? null : alert.indicator)
  }

  /** Acknowledges an alert, where the viewer may and the link is up. */
  async acknowledge(id: string): Promise<void> {
    const csrf = this.session?.csrf
    if (!csrf || !this.live || !this.mayAcknowledge) return
    try {
      await this.alerts.acknowledge(id, csrf)
    } catch (failure) {
      this.failed(failure)
    }
  }

  speak(lang: Lang): void {
    remember('danhao.lang', lang)
    this.go({ lang })
  }

  shade(theme: Theme): void {
    remember('danhao.theme', theme)
    this.preferred = theme
    this.go({ theme })
  }

  allowSingleKeys(on: boolean): void {
    remember('danhao.keys', on ? 'on' : 'off')
    this.singleKeys = on
  }

  /** Goes on as whoever has just signed in. */
  enterAs(session: Session): void {
    const before = this.session
    this.session = session
    // The kept screen belongs to whoever saw it: another role or scope starts with an empty one.
    if (before && JSON.stringify(scopeOf(before)) !== JSON.stringify(scopeOf(this.session))) {
      this.forget()
    }
    this.gate = 'open'
    this.attempts = 0
    this.signal({ kind: 'begin' })
    this.connect()
    this.stream?.again()
  }

  async signOut(): Promise<void> {
    const csrf = this.session?.csrf
    if (csrf) await client.signOut(csrf)
    const leave = this.session?.leave
    this.session = null
    this.forget()
    this.gate = 'closed'
    this.signal({ kind: 'refused' })
    this.stream?.again()
    if (leave) location.assign(leave)
  }

  private forget(): void {
    this.loaded = false
    this.store.clear()
    this.alerts.clear()
  }

  /** Applies language and theme to the document; the canvases then read the palette. */
  dress(): void {
    document.documentElement.lang = HTML_LANG[this.lang]
    document.documentElement.dataset['theme'] = this.theme
    this.palette = readPalette()
  }

  /** Asks for everything again, after a failure. */
  retry(): void {
    this.trouble = null
    if (this.gate === 'open') this.everything()
    else void this.enter()
  }

  private async enter(): Promise<void> {
    try {
      this.session = await client.session()
      this.gate = 'open'
      this.attempts = 0
      this.connect()
    } catch (failure) {
      this.failed(failure)
      if (this.gate !== 'closed') this.later(() => this.enter())
    }
  }

  private connect(): void {
    this.feed = EMPTY
    if (!this.stream) this.stream = openStream((word) => this.hear(word))
    setTimeout(() => {
      if (this.store.loadedAt === null) void this.snapshot()
      if (this.alerts.answeredAt === null) void this.readAlerts()
    }, SNAPSHOT_AFTER_MS)
    void this.catalogues()
  }

  private hear(word: Word): void {
    if (this.gate !== 'open') return
    if (word.kind === 'opened') {
      this.feed = EMPTY
      this.everything()
    } else if (word.kind === 'broken') {
      this.signal({ kind: 'broken' })
      if (word.refused) void this.probe()
    } else {
      this.event(word.name, word.id, word.data)
    }
  }

  private event(name: string, id: string, data: string): void {
    const body = JSON.parse(data) as { items?: unknown[]; at?: string }
    this.signal({ kind: 'heard', serverAt: instant(body.at) })
    if (name === 'alerts') this.alerts.hear((body.items ?? []) as AlertItem[])
    else this.changed(name as FeedEvent['kind'], id, (body.items ?? []) as UnitChange[])
  }

  private changed(kind: FeedEvent['kind'], id: string, items: UnitChange[]): void {
    const outcome = take(this.feed, { kind, id, items })
    this.feed = outcome.feed
    this.store.merge(outcome.apply)
    if (outcome.fetch) this.everything()
  }

  private everything(): void {
    void this.snapshot()
    void this.readAlerts()
  }

  async readAlerts(): Promise<void> {
    try {
      await this.alerts.read()
    } catch (failure) {
      // The panel says it; only what concerns the whole page is passed on.
      if (!(failure instanceof client.Failure)) throw failure
      if (failure.trouble === 'stranger' || failure.status === 0) this.failed(failure)
      clearTimeout(this.alertsAgain)
      if (this.gate === 'open') {
        this.alertsAgain = setTimeout(() => void this.readAlerts(), ALERTS_AGAIN_MS)
      }
    }
  }

  private async snapshot(): Promise<void> {
    if (this.snapshotUnderWay) return
    this.snapshotUnderWay = true
    try {
      const answer = await client.units()
      this.signal({ kind: 'heard', serverAt: answer.at })
      this.store.load(answer.items, answer.at ?? 0)
      const outcome = settle(this.feed, answer.items)
      this.feed = outcome.feed
      this.store.merge(outcome.apply)
      this.loaded = true
      this.trouble = null
      this.attempts = 0
    } catch (failure) {
      this.failed(failure)
      if (this.gate === 'open') this.later(() => this.snapshot())
    } finally {
      this.snapshotUnderWay = false
    }
  }

  private async catalogues(): Promise<void> {
    try {
      const [indicators, limits] = await Promise.all([client.indicators(), client.limits()])
      this.indicators = new Map(indicators.map((row) => [row.id, row]))
      this.limits = new Map(limits.map((row) => [row.id, row]))
    } catch (failure) {
      this.failed(failure)
      if (this.gate === 'open') this.later(() => this.catalogues())
    }
  }

  /** Why the stream was refused: a session that ended asks to sign in, the rest is an outage. */
  private async probe(): Promise<void> {
    try {
      this.session = await client.session()
    } catch (failure) {
      if (failure instanceof client.Failure && failure.trouble === 'stranger') this.failed(failure)
    }
  }

  /** Takes a failed request: a stranger signs in over the kept screen, the rest is said. */
  failed(failure: unknown): void {
    if (!(failure instanceof client.Failure)) throw failure
    if (failure.trouble === 'stranger') {
      this.gate = 'closed'
      this.signal({ kind: 'refused' })
      return
    }
    this.trouble = failure
    if (failure.status === 0) this.signal({ kind: 'broken' })
  }

  private later(again: () => void): void {
    setTimeout(again, backoffMs(this.attempts, Math.random()))
    this.attempts += 1
  }

  private clock(): number {
    return performance.now()
  }

  private signal(signal: Signal): void {
    const link = next(this.link, signal, this.clock())
    if (link !== this.link) this.link = link
  }

  /** At most one redraw per animation frame, however many events arrive; one when none do. */
  private redraw(nextAfterMs = QUIET_AFTER_MS): void {
    if (this.frame !== 0) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      clearTimeout(this.quiet)
      this.quiet = setTimeout(() => this.redraw(TICK_MS), nextAfterMs)
      this.present = presentOf(this.link, this.clock())
      this.revision += 1
    })
  }

  private watchTheme(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const chosen = stored('danhao.theme')
    const follow = (): void => {
      if (!chosen) this.preferred = dark.matches ? 'dark' : 'light'
    }
    if (chosen === 'light' || chosen === 'dark') this.preferred = chosen
    follow()
    dark.addEventListener('change', follow)
  }
}

export const page = new PageModel()
