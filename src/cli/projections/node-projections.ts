import { BanyanError } from '../../core/errors.js'
import { duration } from '../../core/duration.js'
import type { ParkedRow, Redriven, Switched, SwitchOptions } from '../../events/index.js'
import type {
  HostedProjectionState,
  ProjectionControl,
  RebuildRequest,
  RedriveRequest,
} from '../../node/projections/state.js'
import { requestAdmin } from '../admin-client.js'

/** How long a node may take besides what a request asks it to wait, in ms. */
const PATIENCE_MS = 30_000
/** What a switch waits for by itself, in ms. */
const SWITCH_MS = 10_000
/** Trying everything that is parked may take long, in ms. */
const REDRIVE_MS = 24 * 60 * 60 * 1000

/** The projections of a running node, through its admin listener. */
export class NodeProjections implements ProjectionControl {
  readonly #admin: string

  constructor(admin: string) {
    this.#admin = admin
  }

  async list(): Promise<HostedProjectionState[]> {
    const { projections } = (await this.#ask('')) as { projections: HostedProjectionState[] }
    return projections
  }

  async rebuild(name: string, request: RebuildRequest): Promise<{ name: string; version: number }> {
    return (await this.#post(name, 'rebuild', request)) as { name: string; version: number }
  }

  async switch(name: string, version: number, options: SwitchOptions): Promise<Switched> {
    return (await this.#post(name, 'switch', { version, ...options }, waitOf(options))) as Switched
  }

  async undo(name: string, options: SwitchOptions): Promise<Switched> {
    return (await this.#post(name, 'undo', options, waitOf(options))) as Switched
  }

  async drop(name: string, version: number, force: boolean): Promise<void> {
    await this.#post(name, 'drop', { version, force })
  }

  async redrive(name: string, request: RedriveRequest): Promise<Redriven & { version: number }> {
    return (await this.#post(name, 'redrive', request, REDRIVE_MS)) as Redriven & { version: number }
  }

  async parked(
    name: string,
    version: number | undefined,
    after: string | undefined,
    limit: number,
  ): Promise<{ version: number; parked: ParkedRow[] }> {
    const query = new URLSearchParams({ limit: String(limit) })
    if (version !== undefined) query.set('version', String(version))
    if (after !== undefined) query.set('after', after)
    const path = `/${encodeURIComponent(name)}/parked?${query.toString()}`
    return (await this.#ask(path)) as { version: number; parked: ParkedRow[] }
  }

  #post(name: string, action: string, body: object, wait = 0): Promise<unknown> {
    const headers = { 'content-type': 'application/json' }
    const path = `/${encodeURIComponent(name)}/${action}`
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) }, wait)
  }

  async #ask(path: string, init: RequestInit = {}, wait = 0): Promise<unknown> {
    const answer = await requestAdmin(this.#admin, `/api/projections${path}`, init, PATIENCE_MS + wait)
    if (answer.ok) return answer.body
    const { code = 'BANYAN_ADMIN_REFUSED', detail = `the node answers ${answer.status}` } = answer.body as {
      code?: `BANYAN_${string}`
      detail?: string
    }
    throw new BanyanError(code, detail)
  }
}

function waitOf({ timeout }: SwitchOptions): number {
  return timeout === undefined ? SWITCH_MS : duration(timeout, '--timeout')
}
