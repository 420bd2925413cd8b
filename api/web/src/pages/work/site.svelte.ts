// The site a page of people's work is about: the one in the address, else the first the viewer sees.

import { nameOf, type Label } from '../../core/locale.ts'
import type { UnitView } from '../../core/wire.ts'
import { page } from '../../page.svelte.ts'

export class SiteChoice {
  units = $derived.by<readonly UnitView[]>(() => {
    void page.revision
    return page.store.units
  })
  /** Null while the address names no site: then a list is of every site in reach. */
  named = $derived(page.route.site)
  id = $derived(page.route.site ?? this.units[0]?.site ?? null)
  own = $derived(this.units.filter((unit) => unit.site === this.id))
  zone = $derived(this.own[0]?.timezone ?? page.zone)
  name = $derived<Label>(nameOf(this.own[0]?.site_name, page.lang, this.id ?? ''))

  /** The trail of a page: overview, then the site where one is named. */
  trail(overview: string): readonly { text: string; lang?: string | undefined; to: object }[] {
    const home = { text: overview, to: {} }
    if (this.named === null) return [home]
    return [home, { text: this.name.text, lang: this.name.lang, to: { site: this.named } }]
  }
}

const LONG: Readonly<Record<string, readonly string[]>> = {
  writes: ['operator', 'engineer', 'admin'],
  settles: ['engineer', 'admin'],
}

/** Whether the viewer's role may do what people of the plant do, or what engineers settle. */
export function mayHere(what: 'writes' | 'settles'): boolean {
  return LONG[what]?.includes(page.session?.role ?? '') ?? false
}
