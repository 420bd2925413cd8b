import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cellOf, sentenceOf } from '../src/matrix/cells.ts'
import { countsOf, groupsOf, type Choice } from '../src/matrix/groups.ts'
import { layoutOf, moved } from '../src/matrix/layout.ts'
import { item, NOW, unit, verdict } from './make.ts'

const CHOICE: Choice = {
  span: 'month',
  order: 'position',
  abnormal: false,
  site: null,
  nowMs: NOW,
}
const over = item({
  intensity: { value: '13700', unit: 'kWh/t', uncertainty: '80' },
  verdicts: [verdict({ verdict: 'exceeds' })],
})
const units = [
  unit(),
  unit({ unit: 'gh-al.potline-2', current: [over] }),
  unit({ unit: 'qh-fa.furnace-1', site: 'qh-fa' }),
  unit({ unit: 'gh-al.pot-1001', parent: 'gh-al.potline-1' }),
  unit({ unit: 'gh-al.pot-1002', parent: 'gh-al.gone' }),
]

test('units are grouped by site, then under their parent; an orphan stays with its site', () => {
  assert.deepEqual(
    groupsOf(units, CHOICE).map((group) => [group.key, group.members]),
    [
      ['gh-al', [0, 1, 4]],
      ['gh-al/gh-al.potline-1', [3]],
      ['qh-fa', [2]],
    ],
  )
})

test('by deviation the worst comes first, and only abnormal ones on request', () => {
  assert.deepEqual(groupsOf(units, { ...CHOICE, order: 'deviation' })[0]?.members, [1, 0, 4])
  assert.deepEqual(
    groupsOf(units, { ...CHOICE, abnormal: true }).map((group) => group.members),
    [[1]],
  )
})

test('counts cover every unit of the site shown', () => {
  const counts = countsOf(units, { ...CHOICE, site: 'gh-al' })
  assert.equal(counts.units, 4)
  assert.equal(counts.by.exceeds, 1)
  assert.equal(counts.grades.mandatory, 1)
  assert.equal(counts.by.within, 3)
})

const three = [
  unit(),
  unit({ unit: 'gh-al.potline-2' }),
  unit({ unit: 'qh-fa.furnace-1', site: 'qh-fa' }),
  unit({ unit: 'qh-fa.furnace-2', site: 'qh-fa' }),
  unit({ unit: 'qh-ce.kiln-1', site: 'qh-ce' }),
]

function many(count: number): ReturnType<typeof groupsOf> {
  const pots = Array.from({ length: count }, (_, n) =>
    unit({ unit: `gh-al.pot-${n}`, parent: 'gh-al.potline-1' }),
  )
  return groupsOf([unit(), ...pots], CHOICE)
}

test('six hundred tiles neither overlap nor leave the sheet', () => {
  for (const [width, room] of [
    [1270, 800],
    [360, 600],
  ] as const) {
    const layout = layoutOf(many(600), width, room, 1)
    assert.equal(layout.tiles.length, 601)
    const seen = new Set<string>()
    for (const tile of layout.tiles) {
      assert.ok(tile.x >= 0 && tile.x + tile.w <= width, `tile at ${tile.x} of ${width}`)
      assert.ok(tile.y + tile.h <= layout.height)
      assert.ok(tile.w >= 44 && tile.h >= 44)
      seen.add(`${tile.x} ${tile.y}`)
    }
    assert.equal(seen.size, 601)
  }
})

test('few units get large tiles, many get small ones', () => {
  assert.equal(layoutOf(many(1), 1270, 800, 1).tiles.at(-1)?.size, 'xl')
  assert.equal(layoutOf(many(600), 1270, 800, 1).tiles.at(-1)?.size, 's')
})

test('groups of few units share a row where they fit whole, else begin a new one', () => {
  const wide = layoutOf(groupsOf(three, CHOICE), 1270, 800, 1)
  assert.equal(wide.tiles.at(-1)?.size, 'xl')
  assert.deepEqual(new Set(wide.headings.map((heading) => heading.y)), new Set([0]))
  assert.ok((wide.headings[1]?.x ?? 0) >= (wide.tiles[1]?.x ?? 0) + (wide.tiles[1]?.w ?? 0))
  const narrow = layoutOf(groupsOf(three, CHOICE), 360, 800, 1)
  assert.deepEqual(
    narrow.headings.map((heading) => heading.x),
    [0, 0, 0],
  )
  for (const layout of [wide, narrow]) {
    assert.equal(new Set(layout.tiles.map((tile) => `${tile.x} ${tile.y}`)).size, three.length)
    const rows = layout.tiles.map((tile) => tile.row)
    assert.deepEqual(rows, [...rows].sort())
  }
})

test('arrows move to the neighbour and stop at the edge', () => {
  const layout = layoutOf(many(100), 1270, 800, 1)
  assert.equal(moved(layout, 0, 'ArrowLeft'), 0)
  assert.equal(moved(layout, 5, 'ArrowRight'), 6)
  const below = moved(layout, 1, 'ArrowDown')
  assert.equal(layout.tiles[below]?.x, layout.tiles[1]?.x)
  assert.equal(moved(layout, below, 'ArrowUp'), 1)
  assert.equal(moved(layout, 3, 'End'), 100)
})

test('a stale tile shows a question mark and never its old figure', () => {
  const live = { measured_at: '2026-11-21T06:00:00Z', power_kw: '1', allowed_age_s: 30 }
  const cell = cellOf(unit({ live }), 'month', NOW, 'en')
  assert.equal(cell.value, '?')
  assert.equal(cell.standing, 'stale')
  assert.match(cell.foot, /data stopped 30 m/)
  assert.match(sentenceOf(unit({ live }), 'month', NOW, 'zh'), /数据中断/)
})

test('a small tile carries the number of the pot', () => {
  assert.equal(cellOf(unit({ unit: 'gh-al.pot-1001' }), 'month', NOW, 'en').id, '1001')
})
