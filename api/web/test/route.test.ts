import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, HOME, parse, type Route } from '../src/core/route.ts'

function read(address: string): Route {
  const [path = '/', search = ''] = address.split('?')
  return parse(path, search)
}

test('every address reads back as it was written', () => {
  for (const address of [
    '/',
    '/p/gh-al',
    '/p/gh-al/u/gh-al.potline-1',
    '/p/gh-al/u/gh-al.potline-1?sites=all&range=92&lang=en&theme=dark',
    '/?span=day&order=deviation&only=abnormal&view=table',
  ]) {
    assert.equal(format(read(address)), address)
  }
})

test('what an address does not know falls back to its default', () => {
  assert.deepEqual(read('/nowhere/else?range=3&lang=xx&span=week&view=&theme=red'), HOME)
  assert.equal(read('/p/..%2f').site, null)
  assert.equal(read('/p/gh-al/u/<b>').unit, null)
})

test('a site in the path shows that site, the root shows every one', () => {
  assert.equal(read('/').every, true)
  assert.equal(read('/p/gh-al').every, false)
  assert.equal(read('/p/gh-al?sites=all').every, true)
})
