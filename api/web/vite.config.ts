// The build of the page: one small entry, lazy pages, hashed assets, nothing inlined, so that the
// strict content security policy of the server needs no exception.
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    outDir: process.env['DANHAO_PAGE_OUT'] ?? 'static',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
  server: { proxy: { '/api': process.env['DANHAO_API'] ?? 'http://127.0.0.1:8080' } },
})
