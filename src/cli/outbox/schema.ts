import { inboxSchema, outboxSchema } from '../../events/index.js'
import { interruptible } from '../output.js'

/** `banyan outbox schema`. */
export async function schema(engine: 'postgres' | 'sqlite', { inbox }: { inbox?: true }): Promise<void> {
  await interruptible((output) => {
    output.add((inbox ? inboxSchema(engine) : outboxSchema(engine)).trimEnd())
    return Promise.resolve()
  })
}
