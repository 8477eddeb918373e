import type { EncodedCommit, Outcome } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'
import { textArray } from './arrays.js'
import type { Connections } from './connections.js'
import { conflictsOf, expectedCode, sizeOf } from './group.js'

/** What is needed of the application's client: `Client` and `PoolClient` of `pg` have it. */
interface Transaction {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>
  /** `I` if no transaction is open; newer versions of `pg` have it. */
  getTransactionStatus?(): string | null
}

/** What `append_within` answers. */
type Answer =
  | { kind: 'appended' | 'duplicate'; revisions: number[] }
  | { kind: 'conflict'; actuals: number[] }
  | { kind: 'overlap'; id: string }
  | { kind: 'unprepared' }

/**
 * Appends in a transaction of the application's. Errors of its client come as they are: whoever began the transaction
 * knows which of them mean that it is to be run again.
 */
export async function appendWithin(
  given: unknown,
  commit: EncodedCommit,
  schema: string,
  connections: Connections,
): Promise<Outcome> {
  const transaction = transactionOf(given)
  let answer = await ask(transaction, commit, schema, false)
  if (answer.kind === 'unprepared') {
    const names = [...commit.streams, ...commit.checks].map(({ stream }) => stream)
    await connections.read(`SELECT "${schema}".prepare_streams($1)`, [textArray(names)])
    answer = await ask(transaction, commit, schema, true)
  }
  switch (answer.kind) {
    case 'conflict':
      return { kind: 'conflict', conflicts: conflictsOf(commit, answer.actuals) }
    case 'overlap':
      return { kind: 'overlap', id: answer.id }
    case 'unprepared':
      throw eventError(
        'BANYAN_INVALID_COMMIT',
        `the transaction of commit ${commit.id} does not see the streams of the log: it must be one of the same database`,
      )
    default: {
      const { kind, revisions } = answer
      return { kind: 'appended', position: undefined, revisions, duplicate: kind === 'duplicate' }
    }
  }
}

async function ask(
  transaction: Transaction,
  commit: EncodedCommit,
  schema: string,
  prepared: boolean,
): Promise<Answer> {
  const statement = `SELECT "${schema}".append_within($1) AS answer`
  const { rows } = await transaction.query(statement, [JSON.stringify(documentOf(commit, prepared))])
  const { answer } = rows[0] as { answer: string }
  return JSON.parse(answer) as Answer
}

function transactionOf(given: unknown): Transaction {
  const client = given as Partial<Transaction> | null | undefined
  if (typeof client?.query !== 'function')
    throw eventError(
      'BANYAN_INVALID_COMMIT',
      'within needs a client with a transaction open: a Client or PoolClient of pg, or what has its query(text, values)',
    )
  if ('totalCount' in client)
    throw eventError(
      'BANYAN_INVALID_COMMIT',
      'within was given a pool, which has no transaction; give it the client that connect() of the pool returns',
    )
  if (client.getTransactionStatus?.() === 'I')
    throw eventError(
      'BANYAN_INVALID_COMMIT',
      'within was given a client that has no transaction open: BEGIN one, or append to the log itself',
    )
  return client as Transaction
}

function documentOf(commit: EncodedCommit, prepared: boolean): unknown {
  const { id, digest, recorded, streams, checks } = commit
  return {
    id,
    digest,
    recorded,
    prepared,
    conditions: [
      ...streams.map(({ stream, category, expected, events }) => ({
        stream,
        category,
        written: true,
        expected: expectedCode(expected),
        events: events.length,
      })),
      ...checks.map(({ stream, expected }) => ({ stream, written: false, expected: expectedCode(expected) })),
    ],
    events: streams.flatMap(({ events }, condition) =>
      events.map((event, index) => ({
        ...event,
        data: typeof event.data === 'string' ? event.data : undefined,
        bytes: typeof event.data === 'object' ? Buffer.from(event.data).toString('base64') : undefined,
        metadata: event.metadata === '' ? undefined : event.metadata,
        tags: event.tags.length === 0 ? undefined : event.tags,
        condition: condition + 1,
        index,
        size: sizeOf(event),
      })),
    ),
  }
}
