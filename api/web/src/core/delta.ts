// The page's half of api/deltas.py: what the server told of a unit, applied to what is held.
// An array replaces; an object changes what it names, of a list the elements it names.

/** Lists whose elements are told apart by a member of theirs; the server has the same. */
const IDENTITY: Readonly<Record<string, string>> = {
  current: 'indicator',
  today: 'indicator',
  verdicts: 'limit',
}

type Named = Readonly<Record<string, unknown>>

/** What is held after a change; `held` itself where nothing of it changes. */
export function applied<T>(held: T, change: unknown): T {
  return member(held, change, '') as T
}

function member(held: unknown, change: unknown, name: string): unknown {
  if (!isObject(change) || held === null || held === undefined) return change
  if (Array.isArray(held)) return elements(held, change, IDENTITY[name])
  if (!isObject(held)) return change
  const changed = Object.entries(change).map(([each, value]) => [each, member(held[each], value, each)])
  return { ...held, ...Object.fromEntries(changed) }
}

function elements(held: readonly unknown[], change: Named, key: string | undefined): unknown {
  if (key === undefined) return held
  return held.map((one) => {
    const told = isObject(one) ? change[String(one[key])] : undefined
    return told === undefined ? one : member(one, told, '')
  })
}

function isObject(value: unknown): value is Named {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
