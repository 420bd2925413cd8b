// From a unit to the text and numbers of its tile, and to the sentence a screen reader hears.

import type { AlertMark } from '../core/alerts.ts'
import { sayWord, say } from '../core/catalogue.ts'
import {
  completenessText,
  deviationText,
  figure,
  MISSING,
  numberOf,
  powerText,
  UNSURE,
} from '../core/figures.ts'
import { duration, nameOf, shortId } from '../core/locale.ts'
import { overText } from '../core/phrases.ts'
import type { Lang } from '../core/plant_time.ts'
import { ageSeconds, judge, type Judged, type Span } from '../core/verdicts.ts'
import type { UnitView } from '../core/wire.ts'
import type { Cell } from './paint.ts'

/**
 * A unit's tile. A stale unit shows no figure: the old one stands in the detail with its time.
 * A small tile has no foot, so that a reading every second does not redraw it.
 */
export function cellOf(
  unit: UnitView,
  span: Span,
  nowMs: number,
  lang: Lang,
  small = false,
  mark: AlertMark | undefined = undefined,
): Cell {
  const judged = judge(unit, span, nowMs)
  const { item, verdict } = judged
  const measure = item?.intensity?.unit ?? ''
  const limit = numberOf(verdict?.limit_value)
  const spread = numberOf(item?.intensity?.uncertainty)
  const stale = judged.standing === 'stale'
  const power = powerText(small ? null : unit.live.power_kw)
  return {
    id: tinyId(unit.unit),
    name: nameOf(unit.name, lang, unit.unit).text,
    value: stale ? UNSURE : figure(item?.intensity?.value, measure),
    unit: stale ? '' : measure,
    foot: small ? '' : stale ? silence(unit, nowMs, lang) : `${power.value} ${power.unit}`,
    note: small || stale ? '' : noteOf(judged, lang),
    standing: judged.standing,
    grade: judged.standing === 'exceeds' ? judged.grade : undefined,
    over: small || stale || !judged.over ? '' : overText(lang, judged.over, measure),
    reach: overReach(judged, limit),
    alert: mark?.priority ?? 0,
    acknowledged: mark?.acknowledged ?? false,
    dashed: judged.incomplete || judged.standing === 'incomplete',
    elsewhere: judged.elsewhere,
    deviation: judged.deviation,
    spread: small || spread === null || !limit ? null : spread / limit,
    ticks: small ? [] : ticksOf(judged, limit),
  }
}

/** `1001` of `gh-al.pot-1001`: what fits a 46 px tile; in a row of pots the number is the name. */
function tinyId(unit: string): string {
  const own = shortId(unit)
  return own.length > 6 ? (/(\d\w*)$/.exec(own)?.[1] ?? own) : own
}

function noteOf(judged: Judged, lang: Lang): string {
  if (judged.standing === 'incomplete' || judged.standing === 'unjudged') {
    return say(lang, judged.standing)
  }
  return deviationText(judged.deviation)
}

function silence(unit: UnitView, nowMs: number, lang: Lang): string {
  const age = ageSeconds(unit, nowMs)
  if (age === null) return say(lang, 'neverReported')
  return `${say(lang, 'stale')} ${duration(age, lang)}`
}

/** Where the coloured part of the bar begins: at the exceeded limit, as a share from the leading. */
function overReach(judged: Judged, limit: number | null): number {
  const bound = numberOf(judged.over?.limit_value)
  if (bound === null || !limit) return 0
  const ratio = (bound - limit) / limit
  return judged.verdict?.cmp?.startsWith('>') ? -ratio : ratio
}

function ticksOf(judged: Judged, limit: number | null): number[] {
  if (!limit) return []
  const others = judged.item?.verdicts.filter((v) => v !== judged.verdict) ?? []
  return others
    .filter((v) => v.verdict !== 'not_applicable')
    .map((v) => numberOf(v.limit_value))
    .filter((value) => value !== null)
    .map((value) => (value - limit) / limit)
}

/** What a screen reader hears on a tile. */
export function sentenceOf(
  unit: UnitView,
  span: Span,
  nowMs: number,
  lang: Lang,
  mark: AlertMark | undefined = undefined,
): string {
  const judged = judge(unit, span, nowMs)
  const item = judged.item
  const words = [shortId(unit.unit), nameOf(unit.name, lang, unit.unit).text]
  words.push(say(lang, judged.standing))
  if (judged.standing === 'stale') words.push(silence(unit, nowMs, lang))
  else {
    const value = figure(item?.intensity?.value, item?.intensity?.unit ?? '')
    if (value !== MISSING) words.push(`${value} ${item?.intensity?.unit ?? ''}`)
    if (judged.deviation !== null) {
      words.push(`${say(lang, 'deviation')} ${deviationText(judged.deviation)}`)
    }
    if (judged.incomplete) {
      words.push(`${say(lang, 'completeness')} ${completenessText(item?.completeness ?? null)}`)
    }
    if (judged.over) words.push(overText(lang, judged.over, item?.intensity?.unit ?? ''))
    else if (judged.elsewhere) words.push(say(lang, 'elsewhere'))
    if (judged.verdict) words.push(sayWord(lang, judged.verdict.force))
  }
  if (mark) words.push(say(lang, 'priority', { n: mark.priority }))
  if (mark?.acknowledged) words.push(say(lang, 'acknowledged'))
  return words.join(' ')
}
