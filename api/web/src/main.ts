// Starts the page.

import 'uplot/dist/uPlot.min.css'
import './core/tokens.css'
import './core/base.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { page } from './page.svelte.ts'

const target = document.getElementById('page')
if (!target) throw new Error('index.html has no #page')
mount(App, { target })
page.start()
