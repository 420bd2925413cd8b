// What an evidence pack says at a glance: its members, and of each meter the registers at both ends of
// the period. The proof is the checker's work, not this page's.

export interface Register {
  readonly atMs: number
  readonly value: number | null
  readonly quality: number
}
export interface MeterEnds {
  readonly point: string
  readonly readings: number
  /** The last reading at or before the period begins, else the first inside it; the end likewise. */
  readonly first: Register | null
  readonly last: Register | null
}
export interface PackView {
  readonly lines: number
  readonly bytes: number
  readonly members: readonly (readonly [string, number])[]
  readonly meters: readonly MeterEnds[]
  readonly sha256: string | null
  readonly signed: boolean
}

interface Line {
  readonly member: string
  readonly point?: string
  readonly at_us?: readonly number[]
  readonly value?: readonly (number | null)[]
  readonly quality?: readonly number[]
  readonly begin_us?: number
  readonly end_us?: number
  readonly sha256?: string
  readonly signature?: string | null
}

/** Reads a pack; throws where a line is no JSON object, as a cut download is. */
export function readPack(text: string): PackView {
  const rows = text.split('\n').filter((row) => row !== '')
  const members = new Map<string, number>()
  const readings = new Map<string, Register[]>()
  let [begin, end] = [-Infinity, Infinity]
  let seal: Line | null = null
  for (const row of rows) {
    const line = JSON.parse(row) as Line
    members.set(line.member, (members.get(line.member) ?? 0) + 1)
    if (line.member === 'evidence') {
      begin = (line.begin_us ?? -Infinity) / 1000
      end = (line.end_us ?? Infinity) / 1000
    } else if (line.member === 'readings' && line.point) {
      const held = readings.get(line.point) ?? []
      held.push(...unpacked(line))
      readings.set(line.point, held)
    } else if (line.member === 'seal') seal = line
  }
  return {
    lines: rows.length,
    bytes: new TextEncoder().encode(text).length,
    members: [...members],
    meters: [...readings].map(([point, all]) => endsOf(point, all, begin, end)),
    sha256: seal?.sha256 ?? null,
    signed: typeof seal?.signature === 'string',
  }
}

/** Instants travel as the first one and the steps to each next. */
function unpacked(line: Line): Register[] {
  let at = 0
  return (line.at_us ?? []).map((step, n) => {
    at += step
    return { atMs: at / 1000, value: line.value?.[n] ?? null, quality: line.quality?.[n] ?? 0 }
  })
}

function endsOf(point: string, all: readonly Register[], begin: number, end: number): MeterEnds {
  const sorted = [...all].sort((a, b) => a.atMs - b.atMs)
  const first = sorted.findLast((one) => one.atMs <= begin) ?? sorted[0] ?? null
  const last = sorted.find((one) => one.atMs >= end) ?? sorted.at(-1) ?? null
  return { point, readings: sorted.length, first, last }
}
