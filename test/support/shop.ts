import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import SQLite from 'better-sqlite3'
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
  readonly #env: NodeJS.ProcessEnv
  #process: ChildProcess | undefined
  #output = ''

  /** @param env - what it is told: `PACKING`, `FAILING`, `FULL`, `SHOP_POSTGRES`, and the like */
  constructor(env: Record<string, string> = {}) {
    this.#env = { ...process.env, ...env, SHOP_DATA: this.data }
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

  /**
   * Starts everything, and waits until it says that it is open.
   *
   * @param under - what runs it, as npm does
   */
  async open(...under: string[]): Promise<void> {
    this.#output = ''
    const [program, ...args] = [...under, process.execPath, join(this.#root, 'examples/shop/start.mjs')]
    const env = under.length > 0 ? { ...this.#env, npm_lifecycle_event: 'start' } : this.#env
    const before = this.#process
    const shop = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env })
    this.#process = shop
    await new Promise<void>((resolve, reject) => {
      const look = (text: string): void => {
        this.#output += text
        if (this.#output.includes('The shop is open')) resolve()
      }
      shop.stdout.setEncoding('utf8').on('data', look)
      shop.stderr.setEncoding('utf8').on('data', look)
      // Whatever it has started holds these, too: they are closed when all of it is over.
      shop.once('close', () => {
        if (this.#process === shop) this.#process = before
        reject(new Error(`the shop did not open:\n${this.#output}`))
      })
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
    const pids = [...this.#output.matchAll(new RegExp(`${name} .*pid (\\d+)`, 'g'))]
    if (pids.length === 0) throw new Error(`there is no ${name}`)
    for (const [, pid] of pids) process.kill(Number(pid), 'SIGKILL')
  }

  /** Starts one process, again if it was killed, and waits until it is there; it ends with the test. */
  async startAgain(...names: string[]): Promise<ChildProcess> {
    const args = [join(this.#root, 'examples/shop/start.mjs'), ...names]
    const again = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: this.#env })
    const out = again.stdout.setEncoding('utf8')
    for await (const text of out.iterator({ destroyOnReturn: false }))
      if (/is back|has joined/.test(String(text))) return again
    throw new Error(`${names.join(' ')} did not come`)
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

  /** What anything but the gateway answers with: a service, the other gateway, an admin listener. */
  async look(port: number, path: string): Promise<Record<string, unknown>> {
    const answer = await fetch(`http://${this.#address}:${port}${path}`)
    return (await answer.json()) as Record<string, unknown>
  }

  /** Asks a service from outside the gateway, as who looks after it does. */
  async put(port: number, path: string): Promise<void> {
    const { status } = await fetch(`http://${this.#address}:${port}${path}`, { method: 'PUT' })
    if (status !== 200) throw new Error(`PUT ${path} was answered with ${status}`)
  }

  /** What is kept of cards, in its order. */
  payments(): { key: string; what: 'charge' | 'refund'; order: string; amount: number }[] {
    const text = readFileSync(join(this.data, 'payments.ndjson'), 'utf8')
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as ReturnType<Shop['payments']>[number])
  }

  /** The tables of the inventory. */
  inventory(): { stock: { sku: string; free: number }[]; reserved: { name: string; sku: string }[] } {
    const database = new SQLite(join(this.data, 'inventory.db'), { readonly: true })
    try {
      const all = (sql: string): unknown => database.prepare(sql).all()
      return {
        stock: all('SELECT * FROM stock ORDER BY sku') as { sku: string; free: number }[],
        reserved: all('SELECT name, sku FROM reservation WHERE released = 0 ORDER BY name') as {
          name: string
          sku: string
        }[],
      }
    } finally {
      database.close()
    }
  }

  /** The ids of orders in each of the files of the history. */
  orderFiles(...files: string[]): string[][] {
    return files.map((file) => {
      const database = new SQLite(join(this.data, `orders-${file}.db`), { readonly: true })
      try {
        return database.prepare('SELECT id FROM orders').pluck().all() as string[]
      } finally {
        database.close()
      }
    })
  }

  /** The command line, on the log of the shop. */
  banyan(...command: string[]): ReturnType<typeof run> {
    return run(...command, '--log', `sqlite:${this.data}`)
  }
}
