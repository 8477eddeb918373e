import { formatAddress } from '../address.js'
import { addressKey, openAt } from '../listening.js'
import type { Log } from '../log.js'
import { AdminServer, type AdminSubject } from './admin.js'

/** An admin listener that is open but does not stand for the node yet. */
export interface PreparedAdmin {
  commit(): void
  /** Closes it. */
  discard(): Promise<void>
}

interface Open {
  key: string
  server: AdminServer
}

/** Where operators come in; may move while the node runs. */
export class AdminListener {
  readonly #subject: AdminSubject
  readonly #log: Log
  #open: Open | undefined = undefined

  constructor(subject: AdminSubject, log: Log) {
    this.#subject = subject
    this.#log = log
  }

  /**
   * Opens the address if it is another than before.
   *
   * @param setting - `false` for nowhere
   * @throws {@link BanyanError} `BANYAN_LISTEN` if it cannot be had; nothing has changed then
   */
  async prepare(setting: string | number | false): Promise<PreparedAdmin> {
    const before = this.#open
    if (setting === false)
      return { commit: () => this.#moveTo(before, undefined), discard: () => Promise.resolve() }
    const key = addressKey(setting)
    if (before?.key === key) return { commit: () => undefined, discard: () => Promise.resolve() }
    const server = new AdminServer(this.#subject)
    const address = await openAt('admin', setting, (port, host) => server.listen(port, host))
    return {
      commit: () => {
        this.#moveTo(before, { key, server })
        this.#log('info', `admin on http://${formatAddress(address)}`)
      },
      discard: () => server.close(),
    }
  }

  /** Cuts everything off. */
  async close(): Promise<void> {
    await this.#open?.server.close()
    this.#open = undefined
  }

  /** The answer to the request that asked for the move still goes out. */
  #moveTo(before: Open | undefined, after: Open | undefined): void {
    this.#open = after
    void before?.server.drain()
  }
}
