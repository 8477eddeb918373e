import { DEFAULT_ADMIN } from '../../node/address.js'
import type { HostedPromotion, HostedReplicasState, PromoteRequest } from '../../node/replicas/state.js'
import { requestAdmin } from '../admin-client.js'
import type { Seen } from '../coordination/desk.js'
import { followNode, refusalOf } from '../node-statuses.js'

/** Options of commands on replicas. */
export interface ReplicasOptions {
  admin?: string
  json?: true
  watch?: true
}

/** How long a node may take to answer, in ms. */
const PATIENCE_MS = 30_000
/** A promotion waits for the leader, for followers and for routers, in ms. */
const PROMOTE_MS = 10 * 60_000

/** The replicas of a running node, through its admin listener. */
export class NodeReplicas {
  readonly #admin: string

  constructor(admin: string = DEFAULT_ADMIN) {
    this.#admin = admin
  }

  async list(): Promise<readonly HostedReplicasState[]> {
    return ((await this.#ask('')) as { replicas: HostedReplicasState[] }).replicas
  }

  async show(name: string): Promise<HostedReplicasState> {
    return (await this.#ask(`/${encodeURIComponent(name)}`)) as HostedReplicasState
  }

  follow(name: string | undefined, signal: AbortSignal): AsyncIterable<Seen<HostedReplicasState>> {
    const path = name === undefined ? '' : `/${encodeURIComponent(name)}`
    return followNode(this.#admin, `/api/replicas${path}`, name !== undefined, signal)
  }

  async promote(name: string, request: PromoteRequest): Promise<HostedPromotion> {
    return (await this.#ask(`/${encodeURIComponent(name)}/promote`, request)) as HostedPromotion
  }

  async #ask(path: string, body?: object): Promise<unknown> {
    const init = body ? { method: 'POST', body: JSON.stringify(body) } : {}
    const answer = await requestAdmin(
      this.#admin,
      `/api/replicas${path}`,
      init,
      body ? PROMOTE_MS : PATIENCE_MS,
    )
    if (!answer.ok) throw refusalOf(answer.status, answer.body)
    return answer.body
  }
}
