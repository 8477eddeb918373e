import type { Clock } from '../core/clock.js'
import { BanyanError } from '../core/errors.js'
import type { Gateway } from '../traffic/gateway/gateway.js'
import type { Listener } from '../traffic/gateway/listener.js'
import { formatAddress, overlap, parseAddress } from './address.js'
import { addressKey, openAt } from './listening.js'
import type { Log } from './log.js'
import type { ListenSetting } from './spec.js'

/** Listeners that are open but not in force yet. */
export interface PreparedListeners {
  /**
   * Lets requests in at the new ones; those that are gone take no new connections.
   *
   * @param grace - ms that what is under way on those has to finish
   */
  commit(grace: number): void
  /** Closes the new ones. */
  discard(): Promise<void>
}

/** Where a node's clients come in. A listener that two configurations ask for goes on with its connections. */
export class Listeners {
  readonly #gateway: Gateway
  readonly #log: Log
  readonly #clock: Clock
  #open: ReadonlyMap<string, Listener> = new Map()

  constructor(gateway: Gateway, log: Log, clock: Clock) {
    this.#gateway = gateway
    this.#log = log
    this.#clock = clock
  }

  /** Where they are, as URLs without a path, in the order of the configuration. */
  get urls(): string[] {
    return [...this.#open.values()].map(urlOf)
  }

  /**
   * Opens what is not open yet; requests there wait until the commit.
   *
   * @throws {@link BanyanError} `BANYAN_LISTEN` if an address cannot be had; nothing has changed then
   */
  async prepare(settings: readonly ListenSetting[]): Promise<PreparedListeners> {
    const updates: { commit(): void }[] = []
    const wanted = new Map<string, Listener>()
    const fresh: Listener[] = []
    const discard = async (): Promise<void> => {
      await Promise.all(fresh.map((listener) => this.#gateway.unlisten(listener)))
    }
    const keys = keysOf(settings)
    try {
      for (const [key, setting] of keys) {
        const known = this.#open.get(key)
        const { address, ...spec } = setting
        if (known) {
          updates.push(await known.prepare(spec))
          wanted.set(key, known)
          continue
        }
        this.#checkOverlap(address, keys)
        const listener = await openAt('listen', address, (port, host) =>
          this.#gateway.listen(port, host, { ...spec, held: true }),
        )
        fresh.push(listener)
        wanted.set(key, listener)
      }
    } catch (error) {
      await discard()
      throw error
    }
    const commit = (grace: number): void => {
      for (const update of updates) update.commit()
      this.#commit(wanted, fresh, grace)
    }
    return { commit, discard }
  }

  #commit(wanted: ReadonlyMap<string, Listener>, fresh: readonly Listener[], grace: number): void {
    const gone = [...this.#open].filter(([key]) => !wanted.has(key)).map(([, listener]) => listener)
    this.#open = wanted
    for (const listener of fresh) {
      listener.release()
      this.#log('info', `gateway on ${urlOf(listener)}${spokenAt(listener)}`)
    }
    for (const listener of gone) void this.#drain(listener, grace)
  }

  async #drain(listener: Listener, grace: number): Promise<void> {
    const cut = new AbortController()
    const timer = this.#clock.schedule(this.#clock.now() + grace, () => cut.abort())
    this.#log('info', `gateway no longer on ${urlOf(listener)}`)
    await this.#gateway.unlisten(listener, cut.signal)
    timer.cancel()
  }

  /** The system would not give a port to two listeners of ours, and closing the one first would refuse clients. */
  #checkOverlap(setting: string | number, wanted: ReadonlyMap<string, unknown>): void {
    const { host, port } = parseAddress(setting)
    for (const [key, listener] of this.#open) {
      if (listener.port !== port || wanted.has(key) || !overlap(listener.address, host)) continue
      const address = formatAddress(listener)
      throw new BanyanError(
        'BANYAN_LISTEN',
        `listen: ${host}:${port} needs the port of ${address}, which would have to be closed first; ` +
          'take that away in a change of its own, or restart the node',
      )
    }
  }
}

/** The versions of HTTP that clients can choose from, if they can. */
function spokenAt({ protocols }: Listener): string {
  return protocols.length > 1 ? ` (${protocols.join(', ')})` : ''
}

function urlOf(listener: Listener): string {
  return `${listener.spec.tls ? 'https' : 'http'}://${formatAddress(listener)}`
}

/** Settings by a text that is the same for the same address; port 0 may stand there several times. */
function keysOf(settings: readonly ListenSetting[]): Map<string, Exclude<ListenSetting, string | number>> {
  const keys = new Map<string, Exclude<ListenSetting, string | number>>()
  for (const setting of settings) {
    const full = typeof setting === 'object' ? setting : { address: setting }
    const base = addressKey(full.address)
    let key = base
    for (let count = 2; keys.has(key); count++) key = `${base} ${count}`
    keys.set(key, full)
  }
  return keys
}
