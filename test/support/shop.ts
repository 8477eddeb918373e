import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { run } from './cli.js'

const repository = new URL('../..', import.meta.url).pathname

/**
 * The example shop, as a copy on an address of this process, so that it meets no other that somebody has running. It finds
 * the package as any project does.
 */
export class Shop {
  /** Of the loopback network, all of which is this machine. */
  readonly #address = `127.${1 + (process.pid >> 16)}.${(process.pid >> 8) & 255}.${1 + (process.pid & 127)}`
  readonly #root = mkdtempSync(join(tmpdir(), 'banyan-shop-'))
  readonly data = join(this.#root, 'data')
  /** The file that says what an order is. */
  readonly decider = join(this.#root, 'examples/shop/services/order.mjs')
  #process: ChildProcess | undefined
  #output = ''

  constructor() {
    const copy = join(this.#root, 'examples/shop')
    const data = join(repository, 'examples/shop/data')
    cpSync(join(repository, 'examples/shop'), copy, { recursive: true, filter: (path) => path !== data })
    for (const name of readdirSync(copy, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(mjs|yaml)$/.test(name)) continue
      const file = join(copy, name)
      writeFileSync(file, readFileSync(file, 'utf8').replaceAll('127.0.0.1', this.#address))
    }
    symlinkSync(join(repository, 'dist'), join(this.#root, 'dist'))
    cpSync(join(repository, 'package.json'), join(this.#root, 'package.json'))
    symlinkSync(join(repository, 'node_modules'), join(this.#root, 'node_modules'))
  }

  get url(): string {
    return `http://${this.#address}:8080`
  }

  /** Starts everything, and waits until it says that it is open. */
  async open(): Promise<void> {
    this.#output = ''
    const shop = spawn(process.execPath, [join(this.#root, 'examples/shop/start.mjs')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SHOP_DATA: this.data, PACKING: '0' },
    })
    this.#process = shop
    await new Promise<void>((resolve, reject) => {
      const look = (text: string): void => {
        this.#output += text
        if (this.#output.includes('The shop is open')) resolve()
      }
      shop.stdout.setEncoding('utf8').on('data', look)
      shop.stderr.setEncoding('utf8').on('data', look)
      // Whatever it has started holds these, too: they are closed when all of it is over.
      shop.once('close', () => reject(new Error(`the shop did not open:\n${this.#output}`)))
    })
  }

  /** Ends it, and waits until every process of it is over. */
  async close(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const shop = this.#process
    if (!shop) return
    this.#process = undefined
    const closed = once(shop, 'close')
    shop.kill(signal)
    await closed
  }

  /** Kills the processes of one service, without a warning, and does not wait. */
  kill(name: string): void {
    for (const [, pid] of this.#output.matchAll(new RegExp(`${name} .*pid (\\d+)`, 'g')))
      process.kill(Number(pid), 'SIGKILL')
  }

  /** Starts one process again that was killed, and waits until it is back; it ends with the test. */
  async startAgain(...names: string[]): Promise<ChildProcess> {
    const args = [join(this.#root, 'examples/shop/start.mjs'), ...names]
    const env = { ...process.env, SHOP_DATA: this.data, PACKING: '0' }
    const again = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
    const out = again.stdout.setEncoding('utf8')
    for await (const text of out.iterator({ destroyOnReturn: false }))
      if (String(text).includes('is back')) return again
    throw new Error(`${names.join(' ')} did not come back`)
  }

  remove(): void {
    rmSync(this.#root, { recursive: true })
  }

  /** Asks the gateway, and expects to be answered with JSON. */
  async ask(
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
    const answer = await fetch(`${this.url}${path}`, init)
    return {
      status: answer.status,
      headers: answer.headers,
      body: (await answer.json()) as Record<string, unknown>,
    }
  }

  post(path: string): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
    return this.ask(path, { method: 'POST' })
  }

  /** Of the service that tells customers, from outside the gateway. */
  async findAddress(customer: string): Promise<void> {
    await fetch(`http://${this.#address}:4006/notifications/addresses/${customer}`, { method: 'PUT' })
  }

  /** The command line, on the log of the shop. */
  banyan(...command: string[]): ReturnType<typeof run> {
    return run(...command, '--log', `sqlite:${this.data}`)
  }
}
