import { BanyanError } from '../../core/errors.js'
import type { Discarded, ParkedChange, ParkedSelection, Retried } from '../../events/index.js'
import { DEFAULT_ADMIN } from '../../node/address.js'
import type { CaptureControl, HostedCaptureState } from '../../node/cdc/state.js'
import { requestAdmin } from '../admin-client.js'

/** How long a node may take to answer, in ms. */
const PATIENCE_MS = 30_000
/** Trying everything that is parked may take long, in ms. */
const RETRY_MS = 24 * 60 * 60 * 1000

/** The captures of a running node, through its admin listener. */
export class NodeCaptures implements CaptureControl {
  readonly #admin: string

  constructor(admin: string = DEFAULT_ADMIN) {
    this.#admin = admin
  }

  async list(): Promise<HostedCaptureState[]> {
    return ((await this.#ask('')) as { captures: HostedCaptureState[] }).captures
  }

  async resnapshot(name: string): Promise<void> {
    await this.#ask(`/${encodeURIComponent(name)}/resnapshot`, 'POST')
  }

  async retry(name: string): Promise<Retried> {
    const { released, parked } = (await this.#ask(
      `/${encodeURIComponent(name)}/retry`,
      'POST',
      RETRY_MS,
    )) as Retried
    return { released, parked }
  }

  async discard(name: string, which: ParkedSelection): Promise<Discarded> {
    const path = `/${encodeURIComponent(name)}/discard`
    const { discarded, released, parked } = (await this.#ask(path, 'POST', RETRY_MS, which)) as Discarded
    return { discarded, released, parked }
  }

  async parked(name: string, after: string | undefined, limit: number): Promise<ParkedChange[]> {
    const query = new URLSearchParams({ limit: String(limit), ...(after !== undefined && { after }) })
    const answer = await this.#ask(`/${encodeURIComponent(name)}/parked?${query.toString()}`)
    return (answer as { parked: ParkedChange[] }).parked
  }

  async #ask(path: string, method = 'GET', patience = PATIENCE_MS, body?: object): Promise<unknown> {
    const request = { method, ...(body && { body: JSON.stringify(body) }) }
    const answer = await requestAdmin(this.#admin, `/api/cdc${path}`, request, patience)
    if (answer.ok) return answer.body
    const { code = 'BANYAN_ADMIN_REFUSED', detail = `the node answers ${answer.status}` } = answer.body as {
      code?: `BANYAN_${string}`
      detail?: string
    }
    throw new BanyanError(code, detail)
  }
}
