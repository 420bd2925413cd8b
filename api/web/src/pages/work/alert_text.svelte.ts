// What an alert is about, in words, wherever it is listed.

import { excess } from '../../core/alerts.ts'
import { deviationText } from '../../core/figures.ts'
import { nameOf, type Label } from '../../core/locale.ts'
import { overText } from '../../core/phrases.ts'
import type { Lang } from '../../core/plant_time.ts'
import type { AlertRow } from '../../core/wire_work.ts'
import { page } from '../../page.svelte.ts'

/** Whom it is about: a unit by its name, else what its condition watches. */
export function subjectOf(alert: AlertRow, lang: Lang): Label {
  const unit = page.store.find(alert.unit)
  const name = alert.unit_name ?? unit?.name
  if (name) return nameOf(name, lang, alert.unit ?? '')
  if (alert.subject && alert.subject.kind !== 'site') {
    return { text: alert.subject.id, lang: undefined }
  }
  return nameOf(alert.site_name, lang, alert.subject?.id ?? alert.unit ?? '')
}

/** What is so, in one line: the condition's sentence, or the limit and how far beyond it. */
export function whatOf(alert: AlertRow, lang: Lang): string {
  if (alert.sentence) return nameOf(alert.sentence, lang, '').text
  return `${overText(lang, alert, alert.value_unit ?? '')} ${deviationText(excess(alert), 2)}`
}
