import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATALOGUES } from '../src/core/catalogue.ts'
import { beginAt, browserName, troubleIn } from '../src/core/entry.ts'

const way = { id: 'plant', name: { zh: '厂', en: 'Plant' }, begin: '/api/v1/session/oidc/plant' }

test('a sign-in at a provider comes back to where the viewer was', () => {
  const address = beginAt(way, '/p/gh-al/u/potline-1?span=day&lang=zh')
  assert.equal(new URL(address, 'http://x').searchParams.get('to'), '/p/gh-al/u/potline-1?span=day&lang=zh')
})

test('what went wrong is a word of a closed list, and each has its sentence', () => {
  for (const word of ['denied', 'stale', 'provider', 'no_grant', 'disabled', 'throttled']) {
    assert.equal(troubleIn(`#sign-in=${word}`), word)
    assert.ok(Object.hasOwn(CATALOGUES.zh, `signIn_${word}`))
  }
  for (const hash of ['', '#', '#matrix', '#sign-in=', '#sign-in=<b>', '#sign-in=__proto__']) {
    assert.equal(troubleIn(hash), null)
  }
})

test('a browser is named in few words', () => {
  const names: readonly [string, string][] = [
    ['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36', 'Chrome · Linux'],
    ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/156.0 Safari/537 Edg/156.0', 'Edge · Windows'],
    ['Mozilla/5.0 (iPhone; CPU iPhone OS 19 like Mac OS X) Version/19 Safari/605', 'Safari · iPhone'],
    ['Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox · Windows'],
    [`curl/8.5.0 ${'x'.repeat(100)}`, `curl/8.5.0 ${'x'.repeat(29)}`],
    ['', ''],
  ]
  for (const [agent, name] of names) assert.equal(browserName(agent), name)
})
