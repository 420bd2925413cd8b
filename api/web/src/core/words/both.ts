// The words of one subject in both languages. A key that one language lacks does not compile.

export type Words<K extends string> = Readonly<Record<'zh' | 'en', Readonly<Record<K, string>>>>

/** Pairs the languages of a subject: the keys are those of the first, and the second has them all. */
export function both<K extends string>(
  zh: Readonly<Record<K, string>>,
  en: Readonly<Record<NoInfer<K>, string>>,
): Words<K> {
  return { zh, en }
}

/** A text with its `{name}` places filled. */
export function filled(text: string, fill: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in fill ? String(fill[name]) : whole,
  )
}

/** Says the words of a subject that a page loads with itself rather than with the frame. */
export function speaker<K extends string>(
  words: Words<K>,
): (lang: 'zh' | 'en', key: K, fill?: Readonly<Record<string, string | number>>) => string {
  return (lang, key, fill = {}) => filled(words[lang][key], fill)
}
