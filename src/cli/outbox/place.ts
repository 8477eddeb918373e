import { openOutbox } from '../../events/index.js'
import { DEFAULT_ADMIN } from '../../node/address.js'
import { redact } from '../../node/config/redact.js'
import type { OutboxControl, OutboxState } from '../../node/outboxes/state.js'
import { askNode } from '../events/node-log/transport.js'
import { interruptible, type Output } from '../output.js'
import { UsageError } from '../usage-error.js'

/** What a command was told of the outboxes it works on. */
export interface OutboxPlace {
  admin?: string
  database?: string
}

/** What a command on outboxes has. */
export interface OutboxSession {
  readonly outboxes: OutboxControl
  readonly output: Output
  readonly signal: AbortSignal
}

/**
 * Works on the outboxes of a node, or on that of a database.
 *
 * @throws {@link UsageError} if the command line contradicts itself
 */
export async function onOutboxes(
  { admin, database }: OutboxPlace,
  work: (session: OutboxSession) => Promise<void>,
): Promise<void> {
  if (database === undefined)
    return interruptible((output, signal) =>
      work({ outboxes: nodeOutboxes(admin ?? DEFAULT_ADMIN, signal), output, signal }),
    )
  if (admin !== undefined)
    throw new UsageError('--admin and --database each say which outboxes; give one of them')
  // Made by a mistyped path, an empty one would look as if nothing waited.
  await using outbox = await openOutbox(database, { migrate: false })
  const outboxes: OutboxControl = {
    list: async () => [{ name: 'outbox', database: String(redact(database)), ...(await outbox.status()) }],
    redrive: (_name, lanes) => outbox.redrive(lanes),
    discard: (_name, id, lane) => outbox.discard(id, lane),
  }
  await interruptible((output, signal) => work({ outboxes, output, signal }))
}

function nodeOutboxes(admin: string, signal: AbortSignal): OutboxControl {
  const post = async (name: string, what: string, body: object): Promise<unknown> => {
    const headers = { 'Content-Type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(body), signal }
    return (await askNode(admin, `/api/outboxes/${encodeURIComponent(name)}/${what}`, init)).json()
  }
  return {
    async list() {
      const answer = await askNode(admin, '/api/outboxes', { signal })
      return ((await answer.json()) as { outboxes: OutboxState[] }).outboxes
    },
    async redrive(name, lanes) {
      const body = lanes === 'all' ? { all: true } : { lanes }
      return ((await post(name, 'redrive', body)) as { lanes: string[] }).lanes
    },
    async discard(name, id, lane) {
      await post(name, 'discard', { id, lane })
      return true
    },
  }
}
